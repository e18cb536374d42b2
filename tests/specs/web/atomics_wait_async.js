// expect: completed "ok"
const cell = new Int32Array(new SharedArrayBuffer(8)); const { value } = Atomics.waitAsync(cell, 0, 0); Atomics.notify(cell, 0); await value
