// expect: completed "true"
var v = 1; function fn() {} Object.keys(globalThis).includes("v") && globalThis.fn === fn
