// expect: failed syntax
// error: "SyntaxError: Illegal return statement"
// error: "<anonymous>:5:1"
1;
return 2
