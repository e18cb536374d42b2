// expect: completed "1"
const o: { f(): number; readonly [i: number]: string; new (): Date; (x: 1): 2 } | { f(): number } = { f() { return 1 } }; o.f()
