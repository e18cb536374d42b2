// expect: completed "0,undefined,8,0,RangeError"
// Views that follow the length of a buffer, in hot code, while it shrinks and grows.
const buffer = new ArrayBuffer(64, { maxByteLength: 64 });
const view = new Uint8Array(buffer);
function read(v, o) { const n = v.length; o.hook(); return v[n - 1]; }
const quiet = { hook() {} };
for (let i = 0; i < 30000; i++) read(view, quiet);
const first = read(view, quiet);
const gone = read(view, { hook() { buffer.resize(8); } });
const data = new DataView(buffer);
const outcome = (f) => { try { return String(f()); } catch (error) { return error.constructor.name; } };
const length = view.length;
buffer.resize(0);
const none = view.length;
`${first},${gone},${length},${none},${outcome(() => data.getUint8(0))}`
