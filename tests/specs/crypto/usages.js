// expect: completed "encrypt,decrypt,unwrapKey | SyntaxError | SyntaxError | SyntaxError | sign,verify | SyntaxError | verify/sign | SyntaxError | SyntaxError | /deriveBits | SyntaxError | /sign | SyntaxError | TypeError | TypeError | done | InvalidAccessError | InvalidAccessError | InvalidAccessError | InvalidAccessError | TypeError | TypeError"
const out = [];
const hex = (bytes) => Array.from(new Uint8Array(bytes), (b) => b.toString(16).padStart(2, "0")).join("");
const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (b) => parseInt(b, 16));
const text = (string) => new TextEncoder().encode(string);
const name = async (promise) => { try { await promise; return "done"; } catch (e) { return e.name; } };
const { subtle } = crypto;
const make = async (name, usages, params = {}) => {
  try {
    const key = await subtle.generateKey({ name, namedCurve: "P-256", length: 128, hash: "SHA-256", ...params }, true, usages);
    return key.privateKey ? `${key.publicKey.usages}/${key.privateKey.usages}` : `${key.usages}`;
  } catch (e) { return e.name; }
};
out.push(await make("AES-GCM", ["unwrapKey", "decrypt", "encrypt", "decrypt"]), await make("AES-GCM", ["sign"]), await make("AES-GCM", []), await make("AES-KW", ["encrypt"]));
out.push(await make("HMAC", ["verify", "sign"]), await make("HMAC", ["encrypt"]), await make("ECDSA", ["verify", "sign"]), await make("ECDSA", ["verify"]), await make("ECDSA", ["deriveBits"]));
out.push(await make("ECDH", ["deriveBits"]), await make("ECDH", ["sign"]), await make("Ed25519", ["sign"]), await make("Ed25519", []), await make("AES-GCM", ["nothing"]), await make("AES-GCM", "encrypt"));
const key = await subtle.generateKey({ name: "AES-GCM", length: 128 }, true, ["encrypt"]);
const params = { name: "AES-GCM", iv: new Uint8Array(12) };
out.push(await name(subtle.encrypt(params, key, text("x"))), await name(subtle.decrypt(params, key, new Uint8Array(20))), await name(subtle.wrapKey("raw", key, key, params)));
out.push(await name(subtle.encrypt({ name: "AES-CBC", iv: new Uint8Array(16) }, key, text("x"))), await name(subtle.sign("HMAC", key, text("x"))), await name(subtle.encrypt(params, {}, text("x"))), await name(subtle.encrypt(params, Object.create(CryptoKey.prototype), text("x"))));
out.join(" | ");
