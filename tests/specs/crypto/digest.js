// expect: completed "a9993e364706816a | ba7816bf8f01cfea | cb00753f45a35e8b | ddaf35a193617aba | da39a3ee5e6b4b0d | a9993e364706816a | a9993e364706816a"
const out = [];
const hex = (bytes) => Array.from(new Uint8Array(bytes), (b) => b.toString(16).padStart(2, "0")).join("");
const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (b) => parseInt(b, 16));
const text = (string) => new TextEncoder().encode(string);
const name = async (promise) => { try { await promise; return "done"; } catch (e) { return e.name; } };
const { subtle } = crypto;
for (const hash of ["SHA-1", "SHA-256", "sha-384", { name: "SHA-512" }]) {
  out.push(hex(await subtle.digest(hash, text("abc"))).slice(0, 16));
}
out.push(hex(await subtle.digest("SHA-1", new ArrayBuffer(0))).slice(0, 16));
out.push(hex(await subtle.digest("SHA-1", new DataView(text("xabcx").buffer, 1, 3))).slice(0, 16));
out.push(hex(await subtle.digest("SHA-1", text("xabcx").subarray(1, 4))).slice(0, 16));
out.join(" | ");
