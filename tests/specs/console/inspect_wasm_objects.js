// expect: completed "undefined"
// output: "Memory [WebAssembly.Memory] {}\n"
console.log(new WebAssembly.Memory({ initial: 1 }))
