// expect: failed exception
// error: "RangeError: Maximum call stack size exceeded"
const o = { get a() { return this.a } }; o.a
