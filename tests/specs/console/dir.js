// expect: completed "undefined"
// output: "{ a: [Object] }\n"
// output: "[ 1 ]\n"
console.dir({ a: { b: { c: { d: {} } } } }, { depth: 0 }); console.dir([1])
