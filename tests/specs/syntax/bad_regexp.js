// expect: failed syntax
// error: "SyntaxError: Invalid regular expression: /(/: Unterminated group"
// error: "<anonymous>:4:1"
/(/
