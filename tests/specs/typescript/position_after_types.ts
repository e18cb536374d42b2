// expect: failed exception
// error: "Error: n1"
// error: "<anonymous>:4:42"
const p: { a: number } = { a: 1 }; throw new Error(`n${p.a}`)
