// expect: completed "true | TypeMismatchError | true | TypeMismatchError | true | QuotaExceededError | true | QuotaExceededError | true | true | true"
const out = [];
const hex = (bytes) => Array.from(new Uint8Array(bytes), (b) => b.toString(16).padStart(2, "0")).join("");
const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (b) => parseInt(b, 16));
const text = (string) => new TextEncoder().encode(string);
const name = async (promise) => { try { await promise; return "done"; } catch (e) { return e.name; } };
const { subtle } = crypto;
for (const wrong of [new Float64Array(1), new DataView(new ArrayBuffer(1)), new Uint8Array(65537), new Uint32Array(16385)]) {
  try { out.push(crypto.getRandomValues(wrong)); } catch (e) { out.push(e instanceof DOMException, e.name); }
}
for (const wrong of [undefined, [1, 2], "x"]) {
  try { out.push(crypto.getRandomValues(wrong)); } catch (e) { out.push(e instanceof Error); }
}
out.join(" | ");
