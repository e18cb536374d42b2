// expect: completed "1"
const it = (async function* () { yield 1; yield 2 })(); const r = []; for await (const x of it) { r.push(x); if (x === 1) break } r.join()
