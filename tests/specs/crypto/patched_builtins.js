// expect: completed " | [object ArrayBuffer] | false"
const out = [];
const hex = (bytes) => Array.from(new Uint8Array(bytes), (b) => b.toString(16).padStart(2, "0")).join("");
const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (b) => parseInt(b, 16));
const text = (string) => new TextEncoder().encode(string);
const name = async (promise) => { try { await promise; return "done"; } catch (e) { return e.name; } };
const { subtle } = crypto;
// What a script replaces sees nothing of a key, and changes no result.
const seen = [];
const spy = (object, key) => {
  const was = Object.getOwnPropertyDescriptor(object, key);
  Object.defineProperty(object, key, { configurable: true, get() { seen.push(key); return was?.value ?? was?.get?.call(this); }, set() { seen.push(key); } });
};
const Typed = Object.getPrototypeOf(Uint8Array.prototype);
const secret = await subtle.importKey("raw", new Uint8Array(16).fill(7), "AES-GCM", true, ["encrypt", "wrapKey", "unwrapKey"]);
for (const key of ["length", "byteLength", "buffer", "byteOffset", "set", "slice", "subarray", "fill"]) spy(Typed, key);
for (const key of ["k", "d", "material", "type", "hash", "__x"]) spy(Object.prototype, key);
for (const key of ["toJSON"]) { spy(Object.prototype, key); spy(String.prototype, key); spy(Array.prototype, key); }
const params = { name: "AES-GCM", iv: new ArrayBuffer(12) };
const made = await subtle.encrypt(params, secret, new ArrayBuffer(4));
const wrapped = await subtle.wrapKey("jwk", secret, secret, params);
const again = await subtle.unwrapKey("jwk", wrapped, secret, params, "AES-GCM", true, ["encrypt"]);
const exported = await subtle.exportKey("raw", again);
const { privateKey } = await subtle.generateKey({ name: "ECDH", namedCurve: "P-256" }, false, ["deriveBits"]);
for (const [object, keys] of [[Typed, ["length", "byteLength", "buffer", "byteOffset", "set", "slice", "subarray", "fill"]], [Object.prototype, ["k", "d", "material", "type", "hash", "__x", "toJSON"]]]) for (const key of keys) delete object[key];
out.push(seen.join(), Object.prototype.toString.call(exported), privateKey.extractable);
out.join(" | ");
