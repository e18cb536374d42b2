// expect: completed "undefined"
// output: "[Error: a] { [cause]: [TypeError: b] }\n"
// output: "[Error: c] { [cause]: { why: 1 } }\n"
// output: "[AggregateError: many] { [errors]: [ [Error: x], 5 ] }\n"
const bare = (e) => (e.stack = e.toString(), e)
console.log(bare(new Error("a", { cause: bare(new TypeError("b")) })))
console.log(bare(new Error("c", { cause: { why: 1 } })))
console.log(bare(new AggregateError([bare(new Error("x")), 5], "many")))
