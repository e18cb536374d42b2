// expect: completed "undefined"
// output: "it is\n"
// output: "a\n"
// output: "b\n"
// output: "5\n"
// output: "undefined\n"
// output: "undefined\n"
console.dir("it is")
console.dir("a\nb", { depth: 1 })
console.dir(5)
console.dir(undefined)
console.dir()
