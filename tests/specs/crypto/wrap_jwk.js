// expect: completed "false | true | false | true | false | true | false | true | false | true | false | true | 256 | 05050505050505050505050505050505"
const out = [];
const hex = (bytes) => Array.from(new Uint8Array(bytes), (b) => b.toString(16).padStart(2, "0")).join("");
const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (b) => parseInt(b, 16));
const text = (string) => new TextEncoder().encode(string);
const name = async (promise) => { try { await promise; return "done"; } catch (e) { return e.name; } };
const { subtle } = crypto;
const pair = await subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
const signed = { name: "ECDSA", hash: "SHA-256" };
for (const name of ["AES-GCM", "AES-CBC", "AES-CTR"]) {
  const wrapping = await subtle.generateKey({ name, length: 256 }, false, ["wrapKey", "unwrapKey"]);
  const params = { name, iv: new Uint8Array(16), counter: new Uint8Array(16), length: 64 };
  for (const format of ["jwk", "pkcs8"]) {
    const wrapped = await subtle.wrapKey(format, pair.privateKey, wrapping, params);
    const key = await subtle.unwrapKey(format, wrapped, wrapping, params, { name: "ECDSA", namedCurve: "P-256" }, false, ["sign"]);
    const signature = await subtle.sign(signed, key, text("x"));
    out.push(key.extractable, await subtle.verify(signed, pair.publicKey, signature, text("x")));
  }
}
const rsa = await subtle.generateKey({ name: "RSA-OAEP", hash: "SHA-256", modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) }, false, ["wrapKey", "unwrapKey"]);
const secret = await subtle.importKey("raw", new Uint8Array(16).fill(5), "AES-GCM", true, ["encrypt"]);
const wrapped = await subtle.wrapKey("raw", secret, rsa.publicKey, "RSA-OAEP");
const back = await subtle.unwrapKey("raw", wrapped, rsa.privateKey, "RSA-OAEP", "AES-GCM", true, ["encrypt"]);
out.push(wrapped.byteLength, hex(await subtle.exportKey("raw", back)));
out.join(" | ");
