// expect: completed "6"
const r = await Promise.resolve(5); r + 1
