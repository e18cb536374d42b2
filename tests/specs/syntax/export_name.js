// expect: failed syntax
// error: "SyntaxError: Unexpected token 'export'"
// error: "<anonymous>:5:1"
let a = 1;
export { a }
