// expect: completed "0"
let sites = [];
Error.prepareStackTrace = (_, s) => { sites.push(...s); return "" };
for (const f of [() => new URL("bad"), () => atob("%"), () => structuredClone(() => {}), () => new TextDecoder("no"), () => new Event(), () => setTimeout()]) {
  try { f() } catch (e) { e.stack }
}
sites.filter(s => s.getFunction?.() || String(s.getFileName?.()).startsWith("ext:")).length
