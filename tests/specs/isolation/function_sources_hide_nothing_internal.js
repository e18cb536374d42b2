// expect: completed ""
// Walks everything that can be reached by properties and prototypes.
const seen = new Set(), found = [];
function walk(o, path) {
  if ((typeof o !== "object" && typeof o !== "function") || o === null || seen.has(o) || path.length > 8) return;
  seen.add(o);
  for (const k of Reflect.ownKeys(o)) {
    const d = Reflect.getOwnPropertyDescriptor(o, k);
    if (!d) continue;
    const name = String(k);
    if (/^(op_|__bootstrap|primordials|internals?$|core$|ops$)/.test(name)) found.push([...path, name].join("."));
    for (const v of [d.value, d.get, d.set]) walk(v, [...path, name]);
  }
  walk(Reflect.getPrototypeOf(o), [...path, "__proto__"]);
}
walk(globalThis, []);
for (const v of [new URL("a:b"), new Event("x"), new EventTarget(), new AbortController().signal, new Blob(["x"]), new TextDecoder(), new TextEncoder(), new ReadableStream(), new TransformStream(), new DOMException("x"), performance, setTimeout(() => {}, 0)]) walk(v, ["instance"]);
found.join()
