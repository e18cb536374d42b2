// expect: completed "1"
// output: "[ \"a:b\" ]\n"
Object.freeze(globalThis); Object.freeze(Object.prototype); Object.freeze(Array.prototype); console.log([new URL("a:b").href]); const x = 1; x
