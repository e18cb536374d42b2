// expect: failed exception
// error: "[Getter]"
throw { get stack() { throw 1 }, get name() { throw 2 }, toString() { throw 3 }, get [Symbol.toStringTag]() { throw 4 } }
