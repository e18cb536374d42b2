// expect: completed "undefined"
// output: "Map(1) {\n"
// output: "  \"a\" => {\n"
// output: "    b: { c: { d: { e: 1 } } }\n"
// output: "  }\n"
// output: "}\n"
// output: "[\n"
// output: "  Set(1) {\n"
// output: "    [ { a: [ 1, [Array] ] } ]\n"
// output: "  }\n"
// output: "]\n"
console.log(new Map([["a", { b: { c: { d: { e: 1 } } } }]]))
console.log([new Set([[{ a: [1, [2]] }]])])
