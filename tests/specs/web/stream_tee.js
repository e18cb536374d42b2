// expect: completed "1,2|1,2"
const [a, b] = ReadableStream.from([1, 2]).tee(); (await Promise.all([Array.fromAsync(a), Array.fromAsync(b)])).join("|")
