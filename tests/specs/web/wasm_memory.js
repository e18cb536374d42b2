// expect: completed "131072,7"
// tiers: jit baseline
const m = new WebAssembly.Memory({ initial: 1, maximum: 2 }); new Uint8Array(m.buffer)[5] = 7; m.grow(1); [m.buffer.byteLength, new Uint8Array(m.buffer)[5]].join()
