// expect: failed syntax
// error: "SyntaxError: Unexpected token ')'"
// error: "<anonymous>:4:7"
"😀"; )
