// expect: completed "b"
if (0) "a"; else { "b" }
