// expect: completed "undefined"
// output: "{\n"
// output: "  e: Error: m\n"
// output: "      at place\n"
// output: "}\n"
// output: "[\n"
// output: "  Error: m\n"
// output: "      at place\n"
// output: "]\n"
const e = new Error("m"); e.stack = "Error: m\n    at place"
console.log({ e })
console.log([e])
