// expect: completed "qbtrue"
// output: "Promise { 1 }\n"
let calls = 0;
Promise.prototype.then = Promise.prototype.catch = Promise.prototype.finally = function () { calls++; throw new Error("polluted") };
const s = new ReadableStream({ start(c) { c.enqueue("q"); c.close() } });
const { value } = await s.getReader().read();
const w = new WritableStream({ write() {} }).getWriter();
await w.write(1);
const text = await new Blob(["b"]).text();
console.log(Promise.resolve(1));
value + text + (calls === 0)
