// expect: failed syntax
// error: "SyntaxError: Undefined Unicode code-point"
// error: "<anonymous>:"
"\u{110000}"
