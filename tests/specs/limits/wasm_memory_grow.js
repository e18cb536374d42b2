// expect: failed memory
// tiers: jit baseline
const m = new WebAssembly.Memory({ initial: 1 }); for (;;) m.grow(16)
