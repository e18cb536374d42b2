// expect: completed "true"
let lexical = 1; const c = 2; class K {} [globalThis.lexical, globalThis.c, globalThis.K].every(x => x === undefined)
