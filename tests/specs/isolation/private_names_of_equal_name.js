// expect: failed exception
// error: "TypeError: Cannot read private member #queryObject"
// A private name is its class's own, whatever it is called.
class Mine { #queryObject; static peek(u) { return u.#queryObject } }
Mine.peek(new URL("a:b"))
