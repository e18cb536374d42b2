// expect: completed "undefined"
// output: "own b\n"
// output: "Thu Jan 01 1970 00:00:00 GMT+0000 (Coordinated Universal Time)\n"
console.log("%s %s", { toString() { return "own" } }, new (class B { toString() { return "b" } })())
console.log("%s", new Date(0))
