// expect: failed exception
// error: "Error: bare"
Error.stackTraceLimit = 0; throw new Error("bare")
