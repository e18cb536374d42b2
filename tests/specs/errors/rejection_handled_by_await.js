// expect: completed "x"
const p = Promise.reject(new Error("x")); let r; try { await p } catch (e) { r = e.message } r
