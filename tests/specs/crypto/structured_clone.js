// expect: completed "true | true | private | false | sign | public | true | DataCloneError"
const out = [];
const hex = (bytes) => Array.from(new Uint8Array(bytes), (b) => b.toString(16).padStart(2, "0")).join("");
const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (b) => parseInt(b, 16));
const text = (string) => new TextEncoder().encode(string);
const name = async (promise) => { try { await promise; return "done"; } catch (e) { return e.name; } };
const { subtle } = crypto;
const { publicKey, privateKey } = await subtle.generateKey("Ed25519", false, ["sign", "verify"]);
const copy = structuredClone({ keys: [privateKey, publicKey] }).keys;
out.push(copy[0] instanceof CryptoKey, copy[0] !== privateKey, copy[0].type, copy[0].extractable, copy[0].usages, copy[1].type);
out.push(await subtle.verify("Ed25519", copy[1], await subtle.sign("Ed25519", copy[0], text("x")), text("x")));
try { structuredClone(Object.create(CryptoKey.prototype)); } catch (e) { out.push(e.name); }
out.join(" | ");
