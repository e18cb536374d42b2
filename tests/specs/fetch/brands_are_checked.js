// expect: completed "TypeError"
// grants: fetch
const names = new Set();
for (const C of [Headers, FormData, Request, Response]) for (const key of Object.getOwnPropertyNames(C.prototype)) {
  if (key === "constructor") continue; const d = Object.getOwnPropertyDescriptor(C.prototype, key);
  try { await (d.get ?? d.value).call(Object.create(C.prototype), "a", "b"); names.add(`${C.name}.${key} none`) } catch (e) { names.add(e.name) }
}
[...names].join()
