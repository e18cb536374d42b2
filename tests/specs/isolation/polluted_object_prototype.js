// expect: completed "http://a/?x=1&y=2q2t1trueb"
// output: "text and { a: [ 1, 2 ] } Map(1) { 1 => 2 } Set(1) { \"s\" } [ 3 ] [class A] /r/g 1970-01-01T00:00:00.000Z\n"
// output: "[ERROR] Uint8Array(2) [ 0, 0 ]\n"
// heaps: no
// The runtime keeps its own copies of what it uses: a script that breaks the built-ins breaks only itself.
const map = new Map([[1, 2]]), set = new Set(["s"]), blob = new Blob(["b"]);
for (const k of ["get", "set", "value", "writable", "configurable", "enumerable", "__proto", "colors", "depth", "compact", "cause", "stack", "0", "1"]) Object.defineProperty(Object.prototype, k, { __proto__: null, get() { throw new Error("polluted " + String(k)) }, set(v) { Object.defineProperty(this, k, { __proto__: null, value: v, writable: true, configurable: true, enumerable: true }) }, configurable: true });
console.log("%s and", "text", { a: [1, 2] }, map, set, [3], class A {}, /r/g, new Date(0));
console.error(new Uint8Array(2));
const u = new URL("http://a/?x=1");
u.searchParams.append("y", "2");
const s = new ReadableStream({ start(c) { c.enqueue("q"); c.close() } });
const { value } = await s.getReader().read();
await new Promise(r => setTimeout(r, 1, "z"));
const cloned = structuredClone({ a: [1, [2]] }).a[1][0];
const text = new TextDecoder().decode(new TextEncoder().encode("t"));
const t = new EventTarget();
let fired = 0;
t.addEventListener("x", () => fired++);
t.dispatchEvent(new Event("x"));
const c = new AbortController();
c.abort();
u.href + value + cloned + text + fired + c.signal.aborted + await blob.text()
