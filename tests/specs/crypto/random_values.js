// expect: completed "true | true | true | true | true | true | true | true | true | 0,0,0,0 | 0,0,0,0 | true | 65536 | 0"
const out = [];
const hex = (bytes) => Array.from(new Uint8Array(bytes), (b) => b.toString(16).padStart(2, "0")).join("");
const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (b) => parseInt(b, 16));
const text = (string) => new TextEncoder().encode(string);
const name = async (promise) => { try { await promise; return "done"; } catch (e) { return e.name; } };
const { subtle } = crypto;
for (const Array of [Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array, BigInt64Array, BigUint64Array]) {
  const array = new Array(64);
  const same = crypto.getRandomValues(array) === array;
  out.push(same && array.some((x) => x != 0));
}
const view = new Uint8Array(40);
crypto.getRandomValues(view.subarray(4, 36));
out.push(view.subarray(0, 4).join(), view.subarray(36).join(), view.subarray(4, 36).some((x) => x !== 0));
out.push(crypto.getRandomValues(new Uint8Array(65536)).length);
out.push(crypto.getRandomValues(new Uint8Array(0)).length);
out.join(" | ");
