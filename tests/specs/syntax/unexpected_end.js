// expect: failed syntax
// error: "SyntaxError: Unexpected end of input"
// error: "<anonymous>:"
function f(
