// expect: failed memory
// tiers: jit baseline
const b = new Uint8Array([0,97,115,109,1,0,0,0]); const keep = []; for (;;) keep.push(new WebAssembly.Module(b))
