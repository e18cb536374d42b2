// expect: failed syntax
// error: "SyntaxError: Missing initializer in const declaration"
// error: "<anonymous>:4:7"
const a;
