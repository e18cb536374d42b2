// expect: failed exception
// error: "RangeError: broken"
const s = new ReadableStream({ start(c) { c.error(new RangeError("broken")) } }); for await (const x of s);
