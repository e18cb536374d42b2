// expect: completed "2"
let a; ({ a } = { a: 1, b: 2 }).b
