// expect: completed "5"
let a; a = 5
