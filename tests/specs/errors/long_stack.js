// expect: failed exception
// error: "Error: bottom\n    at f (<anonymous>:3:"
function f(n) { if (n === 0) throw new Error("bottom"); f(n - 1) }
f(500)
