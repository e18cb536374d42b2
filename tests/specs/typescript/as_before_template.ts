// expect: completed "t"
let n = 1
const m = n as number
;`t`
