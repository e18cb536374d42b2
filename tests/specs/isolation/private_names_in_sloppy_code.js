// expect: failed syntax
// error: "SyntaxError"
with ({}) { new URL("a:b").#queryObject }
