// expect: completed "3"
await null; var v = 1; function f() { return 2 } globalThis.v + globalThis.f()
