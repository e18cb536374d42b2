// expect: failed syntax
// error: "SyntaxError: Invalid regular expression: missing /"
// error: "<anonymous>:4:9"
let r = /abc
