// expect: failed exception
// error: "SyntaxError"
new Function("return }")
