// expect: completed "undefined"
// output: "{ a: 1 }\n"
console.log(Object.defineProperty({ a: 1 }, "hidden", { value: 2 }))
