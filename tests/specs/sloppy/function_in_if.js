// expect: completed "1"
if (true) function g() { return 1 }
g()
