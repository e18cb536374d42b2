// expect: completed "caught"
try { throw 1 } catch { "caught" }
