// expect: failed memory
new Float64Array(1e8)
