// expect: completed "true,true"
const a = Math.random(), b = Math.random(); [a >= 0 && a < 1, a !== b].join()
