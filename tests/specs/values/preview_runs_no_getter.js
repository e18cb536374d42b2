// expect: completed "0"
// The preview of a value shows getters without calling them.
let ran = 0; const o = { get a() { ran++; return 1 }, toString: () => String(ran) }; o
