// expect: failed syntax
// error: "SyntaxError: Identifier 'undefined' has already been declared"
// error: "<anonymous>:"
let undefined = 1
