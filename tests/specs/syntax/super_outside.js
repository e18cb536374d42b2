// expect: failed syntax
// error: "SyntaxError: 'super' keyword unexpected here"
// error: "<anonymous>:4:1"
super.x
