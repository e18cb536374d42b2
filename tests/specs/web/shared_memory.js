// expect: completed "function,0"
[typeof SharedArrayBuffer, Atomics.add(new Int32Array(2), 0, 5)].join()
