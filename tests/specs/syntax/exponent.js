// expect: failed syntax
// error: "SyntaxError: Unary operator used immediately before exponentiation expression"
// error: "<anonymous>:4:1"
-1 ** 2
