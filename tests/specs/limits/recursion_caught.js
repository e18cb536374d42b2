// expect: completed "RangeErrortrue"
let n = 0; function f() { n++; f() } try { f() } catch (e) { e.name + (n > 1000) }
