// expect: failed syntax
// error: "SyntaxError: Invalid left-hand side in assignment"
// error: "<anonymous>:4:1"
1 = 2
