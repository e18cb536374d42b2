// expect: failed syntax
// error: "SyntaxError: Invalid or unexpected token"
// error: "<anonymous>:4:9"
let s = "abc
