// expect: failed exception
// error: "TypeError"
// Nothing could wake it: blocking the only thread is refused.
Atomics.wait(new Int32Array(new SharedArrayBuffer(8)), 0, 0, 1000)
