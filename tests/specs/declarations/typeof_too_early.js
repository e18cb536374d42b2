// expect: failed exception
// error: "ReferenceError"
typeof early;
let early = 1
