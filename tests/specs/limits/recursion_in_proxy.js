// expect: failed exception
// error: "RangeError"
const h = {}; const p = new Proxy({}, h); h.get = (t, k, r) => r[k]; p.x
