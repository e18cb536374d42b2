// expect: completed "ReferenceError"
// A web-compatible engine reports an assignment to a call when it runs.
try { f() = 1 } catch (e) { e.name }
function f() {}
