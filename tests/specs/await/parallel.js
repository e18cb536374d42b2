// expect: completed "abc"
const t = performance.now(); const wait = (ms, v) => new Promise(r => setTimeout(r, ms, v)); const r = await Promise.all([wait(30, "a"), wait(30, "b"), wait(30, "c")]); r.join("")
