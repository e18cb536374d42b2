// expect: completed "undefined undefined undefined undefined"
[typeof Worker, typeof fetch, typeof importScripts, typeof WebAssembly.compileStreaming].join(' ')
