// expect: completed "undefined"
// output: "[ERROR] Assertion failed\n"
// output: "[ERROR] Assertion failed: why x\n"
// output: "[ERROR] Assertion failed: { a: 1 }\n"
console.assert(true, "no"); console.assert(false); console.assert(0, "why %s", "x"); console.assert(false, { a: 1 })
