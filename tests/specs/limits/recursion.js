// expect: failed exception
// error: "RangeError: Maximum call stack size exceeded"
// error: "<anonymous>:4:"
function f() { return f() + 1 }
f()
