// expect: completed "2,1"
globalThis.x = 1; let x = 2; [x, globalThis.x].join()
