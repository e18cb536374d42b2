// expect: completed "64 | true | false | false | 64 | true | false | false | public | true | public | true | public | true | private | true | private | true | 96 | true | false | false | 96 | true | false | false | public | true | public | true | public | true | private | true | private | true | 132 | true | false | false | 132 | true | false | false | public | true | public | true | public | true | private | true | private | true"
const out = [];
const hex = (bytes) => Array.from(new Uint8Array(bytes), (b) => b.toString(16).padStart(2, "0")).join("");
const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (b) => parseInt(b, 16));
const text = (string) => new TextEncoder().encode(string);
const name = async (promise) => { try { await promise; return "done"; } catch (e) { return e.name; } };
const { subtle } = crypto;
for (const namedCurve of ["P-256", "P-384", "P-521"]) {
  const { publicKey, privateKey } = await subtle.generateKey({ name: "ECDSA", namedCurve }, true, ["sign", "verify"]);
  for (const hash of ["SHA-1", "SHA-512"]) {
    const params = { name: "ECDSA", hash };
    const signature = await subtle.sign(params, privateKey, text("x"));
    out.push(signature.byteLength, await subtle.verify(params, publicKey, signature, text("x")));
    out.push(await subtle.verify(params, publicKey, signature, text("y")));
    out.push(await subtle.verify(params, publicKey, new Uint8Array(signature.byteLength), text("x")));
  }
  for (const format of ["raw", "spki", "jwk"]) {
    const key = await subtle.importKey(format, await subtle.exportKey(format, publicKey), { name: "ECDSA", namedCurve }, true, ["verify"]);
    out.push(key.type, hex(await subtle.exportKey("spki", key)) === hex(await subtle.exportKey("spki", publicKey)));
  }
  for (const format of ["pkcs8", "jwk"]) {
    const key = await subtle.importKey(format, await subtle.exportKey(format, privateKey), { name: "ECDSA", namedCurve }, true, ["sign"]);
    out.push(key.type, hex(await subtle.exportKey("pkcs8", key)) === hex(await subtle.exportKey("pkcs8", privateKey)));
  }
}
out.join(" | ");
