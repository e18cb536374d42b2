// expect: completed "undefined"
// output: "{ a: 1, f: [Function: f] }\n"
// output: "{\n"
// output: "  a: { b: { c: { d: {} } } }\n"
// output: "}\n"
console.log("%o", { a: 1, f() {} })
console.log("%O", { a: { b: { c: { d: {} } } } })
