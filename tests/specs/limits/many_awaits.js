// expect: completed "100000"
let n = 0; for (let i = 0; i < 100_000; i++) n += await 1; n
