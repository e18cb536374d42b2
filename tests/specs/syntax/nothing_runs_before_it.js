// expect: failed syntax
// error: "SyntaxError: Unexpected token ')'"
// error: "<anonymous>:5:1"
console.log("never");
)
