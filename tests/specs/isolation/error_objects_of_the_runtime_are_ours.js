// expect: completed ""
const wrong = [];
for (const f of [() => new URL("bad"), () => structuredClone(() => {}), () => new TextDecoder("no"), () => new Event(), () => btoa("€"), () => new Blob(1), () => new WebAssembly.Module(new Uint8Array(1))]) {
  try { f(); wrong.push(String(f)) } catch (e) {
    if (!(e instanceof Error)) wrong.push("not an Error: " + f);
    if (e.constructor.constructor !== Function) wrong.push("of another realm: " + f);
  }
}
wrong.join()
