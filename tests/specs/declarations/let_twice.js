// expect: failed syntax
// error: "SyntaxError: Identifier 'a' has already been declared"
// error: "<anonymous>:5:5"
let a = 1;
let a = 2;
