// expect: completed "1,2,255"
// preview: "Uint8Array(3) [ 1, 2, 255 ]"
new Uint8Array([1, 2, 255])
