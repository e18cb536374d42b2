// expect: completed "true"
const before = performance.now(); await new Promise(r => setTimeout(r, 30)); performance.now() - before >= 29
