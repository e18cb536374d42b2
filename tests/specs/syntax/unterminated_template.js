// expect: failed syntax
// error: "SyntaxError"
// error: "<anonymous>:"
let s = `abc
