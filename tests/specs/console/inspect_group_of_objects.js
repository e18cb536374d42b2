// expect: completed "undefined"
// output: "{ a: 1 } g\n"
// output: "  in\n"
console.group({ a: 1 }, "g")
console.log("in")
console.groupEnd()
