// expect: failed syntax
// error: "SyntaxError"
// error: "<anonymous>:5:22"
const a: number = 1;
function f(x: string {
