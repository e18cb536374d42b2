// expect: failed syntax
// error: "SyntaxError: Unexpected token '??'"
// error: "<anonymous>:4:8"
1 || 2 ?? 3
