// expect: completed "undefined"
// output: "%s %d %i\n"
// output: "1 and %s\n"
// output: "100%\n"
// output: "%x % 1\n"
// output: "%s 1\n"
// output: "a%\n"
// output: "% b\n"
console.log("%s %d %i")
console.log("%s and %s", 1)
console.log("100%")
console.log("%x %", 1)
console.log("%%s", 1)
console.log("a%")
console.log("%", "b")
