// expect: failed exception
// error: "CompileError"
// tiers: jit baseline
await WebAssembly.compile(new Uint8Array([1, 2, 3, 4]))
