// expect: failed syntax
// error: "SyntaxError"
#queryObject in new URL("a:b")
