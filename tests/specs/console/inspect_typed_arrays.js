// expect: completed "undefined"
// output: "Uint8Array(2) [ 1, 2 ] Float64Array(2) [ 0, 0 ] BigInt64Array(1) [ 1n ] Uint8ClampedArray(0) [] Float32Array(3) [ 1.5, -0, NaN ] Int16Array(1) [ -1 ]\n"
console.log(new Uint8Array([1, 2]), new Float64Array(2), new BigInt64Array([1n]), new Uint8ClampedArray(0), new Float32Array([1.5, -0, NaN]), new Int16Array([-1]))
