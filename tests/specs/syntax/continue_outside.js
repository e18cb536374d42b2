// expect: failed syntax
// error: "SyntaxError: Illegal continue statement"
// error: "<anonymous>:4:3"
{ continue }
