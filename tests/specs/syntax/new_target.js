// expect: failed syntax
// error: "SyntaxError: new.target expression is not allowed here"
// error: "<anonymous>:4:5"
new.target
