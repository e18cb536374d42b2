// expect: failed syntax
// error: "SyntaxError"
// error: "<anonymous>:6:6"
interface P { n: number }
const p: P = { n: 1 };
p.n +* 2
