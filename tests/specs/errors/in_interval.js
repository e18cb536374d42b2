// expect: failed exception
// error: "Error: third"
let n = 0; setInterval(() => { if (++n === 3) throw new Error("third") }, 1)
