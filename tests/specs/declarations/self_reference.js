// expect: failed exception
// error: "ReferenceError"
let me = me + 1
