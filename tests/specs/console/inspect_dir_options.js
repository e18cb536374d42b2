// expect: completed "undefined"
// output: "{\n"
// output: "  a: {\n"
// output: "    b: { c: { d: { e: 1 } } }\n"
// output: "  },\n"
// output: "  Symbol(s): 1\n"
// output: "}\n"
// output: "{ a: { b: [Object] }, Symbol(s): 1 }\n"
// output: "{\n"
// output: "  a: {\n"
// output: "    b: { c: { d: { e: 1 } } }\n"
// output: "  },\n"
// output: "  Symbol(s): 1\n"
// output: "}\n"
// output: "[\n"
// output: "  1,\n"
// output: "  2,\n"
// output: "  3\n"
// output: "]\n"
// output: "{ a: 2, b: 1 }\n"
const o = { a: { b: { c: { d: { e: 1 } } } }, [Symbol("s")]: 1 }
console.dir(o)
console.dir(o, { depth: 1 })
console.dir(o, { depth: Infinity })
console.dir([1, 2, 3], { compact: false })
console.dir({ b: 1, a: 2 }, { sorted: true })
