// expect: failed exception
// error: "my own stack"
const e = new Error("m"); e.stack = "my own stack"; throw e
