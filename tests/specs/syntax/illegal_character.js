// expect: failed syntax
// error: "SyntaxError: Invalid or unexpected token"
// error: "<anonymous>:4:11"
let a = 1 § 2
