// expect: completed "6"
let sum = 0; await ReadableStream.from([1, 2, 3]).pipeTo(new WritableStream({ write(n) { sum += n } })); sum
