// expect: completed ""
// output: "{ a: [Getter] } {}\n"
const leaked = [];
Error.prepareStackTrace = (error, sites) => {
  for (const site of sites) {
    for (const v of [site.getFunction?.(), site.getThis?.()]) {
      if (typeof v === "function" && v !== mine) leaked.push(String(v));
      if (typeof v === "object" && v !== null && v !== globalThis) leaked.push(Object.keys(v).join());
    }
    if (String(site.getFileName?.()).startsWith("ext:")) leaked.push(site.getFileName());
  }
  return "";
};
function mine() { return new Error("x").stack }
mine();
await new Promise(r => setTimeout(() => { mine(); r() }, 0));
const t = new EventTarget(); t.addEventListener("x", () => mine()); t.dispatchEvent(new Event("x"));
new ReadableStream({ start() { mine() } });
console.log({ get a() { return mine() } }, new Proxy({}, { get() { mine() } }));
try { new URL("bad") } catch (e) { e.stack }
leaked.join("|")
