// expect: failed syntax
// error: "SyntaxError: Unexpected token 'export'"
// error: "<anonymous>:4:1"
export default 1
