// expect: completed "undefined"
// output: "{\n"
// output: "  a: \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\",\n"
// output: "  b: \"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\"\n"
// output: "}\n"
// output: "{\n"
// output: "  a: \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\",\n"
// output: "  b: \"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\"\n"
// output: "}\n"
// output: "{\n"
// output: "  a: 1,\n"
// output: "  b: {\n"
// output: "    c: 2,\n"
// output: "    d: { e: 3, f: [ 1, 2, { g: 4 } ] }\n"
// output: "  }\n"
// output: "}\n"
console.log({ a: "x".repeat(30), b: "y".repeat(30) })
console.log({ a: "x".repeat(40), b: "y".repeat(40) })
console.log({ a: 1, b: { c: 2, d: { e: 3, f: [1, 2, { g: 4 }] } } })
