// expect: failed exception
// error: "SyntaxError"
// truncated: error
new RegExp("(".repeat(100_000) + ")".repeat(100_000))
