// expect: failed exception
// error: "RangeError"
let o = {}; for (let i = 0; i < 100_000; i++) o = { o }; structuredClone(o)
