// expect: completed "SyntaxError"
try { eval("%DebugPrint(1)") } catch (e) { e.name }
