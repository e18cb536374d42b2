// expect: failed memory
new WebAssembly.Memory({ initial: 10_000 })
