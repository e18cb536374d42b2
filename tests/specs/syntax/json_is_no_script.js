// expect: failed syntax
// error: "SyntaxError: Unexpected token ':'"
// error: "<anonymous>:4:5"
{"a": 1}
