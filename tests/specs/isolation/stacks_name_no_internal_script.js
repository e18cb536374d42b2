// expect: completed ""
const stacks = [];
for (const f of [() => new URL("bad"), () => atob("%"), () => structuredClone(() => {}), () => new TextDecoder("no"), () => new Event(), () => crypto.getRandomValues(1), () => new Blob(1), () => AbortSignal.abort().throwIfAborted()]) {
  try { f() } catch (e) { stacks.push(e.stack) }
}
const t = new EventTarget(); t.addEventListener("x", () => stacks.push(new Error("l").stack)); t.dispatchEvent(new Event("x"));
await new Promise(r => setTimeout(() => { stacks.push(new Error("t").stack); r() }, 0));
stacks.push(new Error("after").stack);
stacks.filter(s => /ext:|bootstrap|deno/i.test(s)).join("\n")
