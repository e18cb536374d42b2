// expect: failed exception
// error: "RangeError: Maximum call stack size exceeded"
eval("[".repeat(100_000) + "]".repeat(100_000))
