// expect: failed memory
// tiers: jit baseline
new WebAssembly.Memory({ initial: 10_000 })
