// expect: failed memory
const b = new ArrayBuffer(8, { maxByteLength: 1 << 30 }); b.resize(1 << 30); new Uint8Array(b).fill(1)
