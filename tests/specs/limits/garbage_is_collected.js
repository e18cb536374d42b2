// expect: completed "30000000"
let n = 0; for (let i = 0; i < 300_000; i++) { n += new Array(100).fill(i).length } n
