// expect: failed exception
// error_exact: "TypeError: o.f is not a function\n    at <anonymous>:4:3"
const o = {};
o.f(1)
