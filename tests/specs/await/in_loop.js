// expect: completed "3"
let n = 0; for (let i = 0; i < 3; i++) { n += await i } n
