// expect: completed "1"
const o = { toString() { return String(this.n) }, n: 1 }; setTimeout(() => { o.n = 2 }, 5); o
