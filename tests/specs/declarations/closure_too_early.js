// expect: failed exception
// error: "ReferenceError"
// error: "at f (<anonymous>:6:"
f();
let early = 1;
function f() { return early }
