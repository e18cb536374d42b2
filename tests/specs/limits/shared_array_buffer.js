// expect: failed memory
const keep = []; for (;;) { const b = new SharedArrayBuffer(1 << 20); new Uint8Array(b).fill(1); keep.push(b) }
