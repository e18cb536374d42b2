// expect: completed "1"
globalThis.leak ??= 0; ++globalThis.leak
