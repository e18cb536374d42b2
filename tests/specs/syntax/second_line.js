// expect: failed syntax
// error: "SyntaxError: Unexpected token ')'"
// error: "<anonymous>:5:9"
let a = 1;
let b = );
