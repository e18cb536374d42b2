// expect: failed exception
// error: "RangeError: Maximum call stack size exceeded"
let o = []; for (let i = 0; i < 100_000; i++) o = [o]; String(o)
