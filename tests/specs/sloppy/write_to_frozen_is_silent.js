// expect: completed "1"
const o = Object.freeze({ a: 1 }); o.a = 2; o.a
