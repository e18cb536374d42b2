// expect: failed exception
// error: "Error: xxx"
// truncated: error
throw new Error("x".repeat(200_000))
