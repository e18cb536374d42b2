// expect: completed "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742 | 4a5d9d5ba4ce2de1 | 4a5d9d5ba4ce2de1728e3bf480350f25 | 3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08 | OperationError | OperationError | SyntaxError | SyntaxError"
const out = [];
const hex = (bytes) => Array.from(new Uint8Array(bytes), (b) => b.toString(16).padStart(2, "0")).join("");
const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (b) => parseInt(b, 16));
const text = (string) => new TextEncoder().encode(string);
const name = async (promise) => { try { await promise; return "done"; } catch (e) { return e.name; } };
const { subtle } = crypto;
// RFC 7748, 6.1.
const bob = await subtle.importKey("pkcs8", bytes("302e020100300506032b656e04220420" + "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"), "X25519", true, ["deriveBits", "deriveKey"]);
const alice = await subtle.importKey("raw", bytes("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"), "X25519", true, []);
out.push(hex(await subtle.deriveBits({ name: "X25519", public: alice }, bob, null)), hex(await subtle.deriveBits({ name: "X25519", public: alice }, bob, 64)));
out.push(hex(await subtle.exportKey("raw", await subtle.deriveKey({ name: "X25519", public: alice }, bob, { name: "AES-CBC", length: 128 }, true, ["encrypt"]))));
out.push((await subtle.exportKey("jwk", bob)).x);
const zero = await subtle.importKey("raw", new Uint8Array(32), "X25519", true, []);
out.push(await name(subtle.deriveBits({ name: "X25519", public: zero }, bob, null)), await name(subtle.deriveBits({ name: "X25519", public: alice }, bob, 264)));
out.push(await name(subtle.generateKey("X25519", true, ["sign"])), await name(subtle.generateKey("X25519", true, [])));
out.join(" | ");
