// expect: failed syntax
// error: "Identifier 'a' has already been declared"
// error: "<anonymous>:5:7"
var a;
  let a
