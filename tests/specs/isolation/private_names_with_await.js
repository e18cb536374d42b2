// expect: failed syntax
// error: "SyntaxError"
await null; new URL("a:b").#queryObject
