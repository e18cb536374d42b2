// expect: completed "undefined"
// output: "<ref *1> {\n"
// output: "  n: 1,\n"
// output: "  self: [Circular *1],\n"
// output: "  list: [ [Circular *1], { a: [Circular *1] } ]\n"
// output: "}\n"
// output: "<ref *1> Map(1) { \"m\" => [Circular *1] }\n"
const a = { n: 1 }; a.self = a; a.list = [a, { a }]
console.log(a); const m = new Map(); m.set("m", m)
console.log(m)
