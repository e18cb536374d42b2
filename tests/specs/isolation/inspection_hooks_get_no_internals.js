// expect: completed "true"
// output: "custom\n"
// output: "custom\n"
// output: "custom\n"
const found = new Set(), reached = new Set();
function walk(v, depth) {
  if ((typeof v !== "object" && typeof v !== "function") || v === null || reached.has(v) || depth > 6) return;
  reached.add(v);
  for (const k of Reflect.ownKeys(v)) {
    if (/^op_|bootstrap|primordials|internal/i.test(String(k))) found.add(String(k));
    const d = Reflect.getOwnPropertyDescriptor(v, k);
    for (const part of [d.value, d.get, d.set]) walk(part, depth + 1);
  }
  walk(Reflect.getPrototypeOf(v), depth + 1);
}
let calls = 0;
const hook = function (...args) { calls++; walk(args, 0); walk(this, 0); return "custom" };
for (const name of ["Deno.customInspect", "Deno.privateCustomInspect", "nodejs.util.inspect.custom"]) {
  console.log({ [Symbol.for(name)]: hook });
}
[calls > 0, ...found].join()
