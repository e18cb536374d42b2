// expect: completed "true"
let a = 1, b = 2, c = 0; (a < b) > (c) && 1 < 2 > 0
