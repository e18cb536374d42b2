// expect: completed "3"
const a = 1
const b = 2
a + b
