// expect: completed "209715200"
let n = 0; for (let i = 0; i < 200; i++) { n += new Uint8Array(1 << 20).length } n
