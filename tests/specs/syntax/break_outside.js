// expect: failed syntax
// error: "SyntaxError: Illegal break statement"
// error: "<anonymous>:4:1"
break
