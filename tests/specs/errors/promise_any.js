// expect: failed exception
// error: "AggregateError: All promises were rejected"
// error: "Error: first"
// error: "Error: second"
await Promise.any([Promise.reject(new Error("first")), Promise.reject(new Error("second"))])
