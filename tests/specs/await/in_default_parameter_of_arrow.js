// expect: completed "1"
const f = (x = 1) => x; f(await undefined)
