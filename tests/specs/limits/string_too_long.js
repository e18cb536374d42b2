// expect: failed exception
// error: "RangeError: Invalid string length"
"x".repeat(2 ** 30)
