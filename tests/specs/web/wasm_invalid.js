// expect: failed exception
// error: "CompileError"
await WebAssembly.compile(new Uint8Array([1, 2, 3, 4]))
