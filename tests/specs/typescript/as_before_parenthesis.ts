// expect: completed "5"
let y = 5
const z = y as number
(y)
