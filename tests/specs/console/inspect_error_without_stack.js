// expect: completed "undefined"
// output: "[TypeError: m]\n"
// output: "[RangeError: n]\n"
// output: "[RangeError: n] { code: 5 }\n"
const e = new TypeError("m"); e.stack = undefined
console.log(e); const f = new RangeError("n"); delete f.stack; f.stack = "RangeError: n"
console.log(f)
console.log(Object.assign(f, { code: 5 }))
