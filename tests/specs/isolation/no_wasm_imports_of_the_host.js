// expect: failed exception
// error: "LinkError"
// tiers: jit baseline
const m = new WebAssembly.Module(new Uint8Array([0,97,115,109,1,0,0,0,1,4,1,96,0,0,2,7,1,1,101,1,102,0,0]));
new WebAssembly.Instance(m, { e: {} })
