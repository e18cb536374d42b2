// expect: completed "-Infinity"
-1 / 0
