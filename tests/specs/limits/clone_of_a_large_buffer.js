// expect: failed memory
// error: "RangeError: Array buffer allocation failed"
// limits: heap_mb=8
structuredClone(new Uint8Array(6e6)).length
