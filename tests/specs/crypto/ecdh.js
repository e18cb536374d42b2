// expect: completed "32 | true | true | true | OperationError | InvalidAccessError | done | 0 | deriveKey,deriveBits | 48 | true | true | true | OperationError | InvalidAccessError | InvalidAccessError | 0 | deriveKey,deriveBits | 66 | true | true | true | OperationError | InvalidAccessError | InvalidAccessError | 0 | deriveKey,deriveBits"
const out = [];
const hex = (bytes) => Array.from(new Uint8Array(bytes), (b) => b.toString(16).padStart(2, "0")).join("");
const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (b) => parseInt(b, 16));
const text = (string) => new TextEncoder().encode(string);
const name = async (promise) => { try { await promise; return "done"; } catch (e) { return e.name; } };
const { subtle } = crypto;
// The point of RFC 5903, 8.1.
const point = bytes("04d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf6356fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab");
const theirs = await subtle.importKey("raw", point, { name: "ECDH", namedCurve: "P-256" }, true, []);
for (const namedCurve of ["P-256", "P-384", "P-521"]) {
  const [a, b] = [await subtle.generateKey({ name: "ECDH", namedCurve }, true, ["deriveBits", "deriveKey"]), await subtle.generateKey({ name: "ECDH", namedCurve }, true, ["deriveBits"])];
  const one = await subtle.deriveBits({ name: "ECDH", public: b.publicKey }, a.privateKey, null);
  const two = await subtle.deriveBits({ name: "ECDH", public: a.publicKey }, b.privateKey, null);
  out.push(one.byteLength, hex(one) === hex(two));
  out.push(hex(await subtle.deriveBits({ name: "ECDH", public: b.publicKey }, a.privateKey, 128)) === hex(one).slice(0, 32));
  const key = await subtle.deriveKey({ name: "ECDH", public: b.publicKey }, a.privateKey, { name: "AES-GCM", length: 256 }, true, ["encrypt"]);
  out.push(hex(await subtle.exportKey("raw", key)) === hex(one).slice(0, 64));
  out.push(await name(subtle.deriveBits({ name: "ECDH", public: b.publicKey }, a.privateKey, 8 * one.byteLength + 8)));
  out.push(await name(subtle.deriveBits({ name: "ECDH", public: b.privateKey }, a.privateKey, 128)));
  out.push(await name(subtle.deriveBits({ name: "ECDH", public: theirs }, a.privateKey, 128)));
  out.push(a.publicKey.usages.length, a.privateKey.usages);
}
out.join(" | ");
