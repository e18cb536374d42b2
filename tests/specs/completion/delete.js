// expect: completed "true"
globalThis.gone = 1; delete globalThis.gone
