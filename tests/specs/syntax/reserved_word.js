// expect: failed syntax
// error: "SyntaxError: Unexpected token 'class'"
// error: "<anonymous>:4:5"
let class = 1
