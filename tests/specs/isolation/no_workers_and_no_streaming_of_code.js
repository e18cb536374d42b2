// expect: completed "undefined undefined undefined undefined"
// tiers: jit baseline
[typeof Worker, typeof fetch, typeof importScripts, typeof WebAssembly.compileStreaming].join(' ')
