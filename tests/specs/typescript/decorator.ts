// expect: failed syntax
// error: "SyntaxError"
// V8 has no decorators yet, and they are no types.
function d(v: any, c: any) {}
@d class A {}
