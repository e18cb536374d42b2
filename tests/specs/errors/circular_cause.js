// expect: failed exception
// error: "Error: round"
// error: "[Circular"
const e = new Error("round"); e.cause = e; throw e
