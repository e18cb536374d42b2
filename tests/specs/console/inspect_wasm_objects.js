// expect: completed "undefined"
// output: "Memory [WebAssembly.Memory] {}\n"
// tiers: jit baseline
console.log(new WebAssembly.Memory({ initial: 1 }))
