// expect: completed "seen"
{ function inner() { return "seen" } } inner()
