// expect: failed exception
// error: "SyntaxError"
(() => eval('new URL("a:b").#queryObject'))()
