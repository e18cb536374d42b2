// expect: failed syntax
// error: "SyntaxError"
new URL("a:b").#queryObject
