// expect: completed "4"
let i = 0; while (await (i < 4)) i++; i
