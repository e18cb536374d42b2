// expect: failed syntax
// error: "Identifier 'f' has already been declared"
const f = 1; function f() {}
