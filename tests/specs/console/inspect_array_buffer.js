// expect: completed "undefined"
// output: "ArrayBuffer { [Uint8Contents]: <00 00 00 00>, byteLength: 4 } ArrayBuffer { [Uint8Contents]: <01 02 03>, byteLength: 3 } DataView {\n"
// output: "  byteLength: 2,\n"
// output: "  byteOffset: 0,\n"
// output: "  buffer: ArrayBuffer { [Uint8Contents]: <00 00>, byteLength: 2 }\n"
// output: "} SharedArrayBuffer { [Uint8Contents]: <00>, byteLength: 1 }\n"
console.log(new ArrayBuffer(4), new Uint8Array([1, 2, 3]).buffer, new DataView(new ArrayBuffer(2)), new SharedArrayBuffer(1))
