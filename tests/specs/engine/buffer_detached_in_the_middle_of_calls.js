// expect: completed "TypeError,0,undefined,0,TypeError,0"
// The conversion of an argument takes the buffer away that the call is about.
const detach = (buffer) => structuredClone(buffer, { transfer: [buffer] });
const outcome = (f) => { try { return String(f()); } catch (error) { return error.constructor.name; } };
const bytes = () => new Uint8Array(new ArrayBuffer(64));
const results = [];
let t = bytes();
results.push(outcome(() => t.fill({ valueOf() { detach(t.buffer); return 7; } })));
results.push(t.length);
t = bytes();
results.push(outcome(() => { t[{ toString() { detach(t.buffer); return "0"; } }] = 1; return t[0]; }));
t = bytes();
t.set({ length: 4, get 0() { detach(t.buffer); return 1; }, 1: 2, 2: 3, 3: 4 });
results.push(t.byteLength);
t = bytes();
const view = new DataView(t.buffer);
results.push(outcome(() => view.setFloat64({ valueOf() { detach(t.buffer); return 0; } }, 1.5)));
t = bytes().fill(1);
t.sort(() => { if (t.length) detach(t.buffer); return 0; });
results.push(t.length);
results.join(",")
