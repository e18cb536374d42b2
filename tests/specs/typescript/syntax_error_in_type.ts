// expect: failed syntax
// error: "SyntaxError"
// error: "<anonymous>:4:"
let x: = 1;
