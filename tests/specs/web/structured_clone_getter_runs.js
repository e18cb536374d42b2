// expect: completed "1"
let n = 0; structuredClone({ get a() { return ++n } }).a
