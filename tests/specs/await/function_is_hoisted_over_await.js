// expect: completed "hoisted"
const r = early(); await null; function early() { return "hoisted" } r
