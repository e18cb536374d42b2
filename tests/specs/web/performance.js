// expect: completed "number,true,true,true"
const a = performance.now(); [typeof a, a >= 0, performance.now() >= a, performance.timeOrigin > 1.6e12].join()
