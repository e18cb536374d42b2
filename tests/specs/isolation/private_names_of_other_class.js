// expect: failed syntax
// error: "SyntaxError"
class Mine { #other; static peek(u) { return u.#queryObject } }
Mine.peek(new URL("a:b"))
