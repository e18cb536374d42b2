// expect: failed memory
new ArrayBuffer(1 << 30)
