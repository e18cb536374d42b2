// expect: completed "a,b"
const s = new ReadableStream({ start(c) { c.enqueue("a"); c.enqueue("b"); c.close() } });
const out = [];
for await (const chunk of s) out.push(chunk);
out.join()
