// expect: failed memory
let s = "ab"; const keep = []; for (;;) { s += s + Math.random(); keep.push(s.split("")) }
