// expect: completed "true,undefinedundefinedundefined"
const out = [];
for (const f of [console.log, setTimeout, URL, structuredClone, queueMicrotask, atob, new URL("a:b").toString, Math.random, TextEncoder.prototype.encode]) {
  const F = f.constructor;
  out.push(F === Function, F("return this")() === globalThis, F("return typeof Deno + typeof __bootstrap + typeof ops")());
}
[...new Set(out)].join()
