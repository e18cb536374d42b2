// expect: completed "2000000"
// limits: heap_mb=64
const a = []; for (let i = 0; i < 2_000_000; i++) a.push(i * 1.5); a.length
