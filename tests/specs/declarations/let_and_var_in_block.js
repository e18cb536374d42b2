// expect: failed syntax
// error: "SyntaxError: Identifier 'x' has already been declared"
let x = 1;
{ var x = 2 }
