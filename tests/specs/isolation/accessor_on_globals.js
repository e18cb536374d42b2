// expect: completed "5"
// output: "{ a: 1 }\n"
// heaps: no
for (const n of ["URL", "Promise", "Error", "Symbol", "Map", "WeakMap", "TextDecoder"]) Object.defineProperty(globalThis, n, { get() { throw new Error("trap " + n) }, configurable: true });
setTimeout(() => console.log({ a: 1 }), 0); 5
