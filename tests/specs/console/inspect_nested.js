// expect: completed "undefined"
// output: "{ a: { b: { c: {} } } }\n"
// output: "{\n"
// output: "  a: {\n"
// output: "    b: { c: { d: { e: [Object] } } }\n"
// output: "  }\n"
// output: "}\n"
// output: "[\n"
// output: "  [\n"
// output: "    [ [ [ [Array] ] ] ]\n"
// output: "  ]\n"
// output: "]\n"
console.log({ a: { b: { c: {} } } })
console.log({ a: { b: { c: { d: { e: { f: 1 } } } } } })
console.log([[[[[[1]]]]]])
