// expect: failed exception
// error_exact: "TypeError: x\n    at <anonymous>:3:7"
throw new TypeError("x")
