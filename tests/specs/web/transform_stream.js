// expect: completed "AB!"
const upper = new TransformStream({ transform(chunk, c) { c.enqueue(chunk.toUpperCase()) }, flush(c) { c.enqueue("!") } });
const s = ReadableStream.from(["a", "b"]).pipeThrough(upper);
(await Array.fromAsync(s)).join("")
