// expect: completed "2048 | 1,0,1 | SHA-256 | verify | sign | RS256 | AQAB | true | 256 | true | false | 2048 | 1,0,1 | SHA-256 | verify | sign | PS256 | AQAB | true | 256 | true | false | 2048 | 1,0,1 | SHA-256 | encrypt | decrypt | RSA-OAEP-256 | AQAB | true | 256 | secret | OperationError"
const out = [];
const hex = (bytes) => Array.from(new Uint8Array(bytes), (b) => b.toString(16).padStart(2, "0")).join("");
const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (b) => parseInt(b, 16));
const text = (string) => new TextEncoder().encode(string);
const name = async (promise) => { try { await promise; return "done"; } catch (e) { return e.name; } };
const { subtle } = crypto;
const publicExponent = new Uint8Array([1, 0, 1]);
for (const [name, usages, params] of [
  ["RSASSA-PKCS1-v1_5", ["sign", "verify"], {}],
  ["RSA-PSS", ["sign", "verify"], { saltLength: 20 }],
  ["RSA-OAEP", ["encrypt", "decrypt"], { label: text("label") }],
]) {
  const { publicKey, privateKey } = await subtle.generateKey({ name, modulusLength: 2048, publicExponent, hash: "SHA-256" }, true, usages);
  out.push(publicKey.algorithm.modulusLength, publicKey.algorithm.publicExponent, publicKey.algorithm.hash.name, publicKey.usages, privateKey.usages);
  const pkcs8 = await subtle.exportKey("pkcs8", privateKey);
  const jwk = await subtle.exportKey("jwk", privateKey);
  const again = await subtle.importKey("jwk", jwk, { name, hash: "SHA-256" }, true, [usages[name === "RSA-OAEP" ? 1 : 0]]);
  out.push(jwk.alg, jwk.e, hex(await subtle.exportKey("pkcs8", again)) === hex(pkcs8));
  if (name === "RSA-OAEP") {
    const sealed = await subtle.encrypt({ name, ...params }, publicKey, text("secret"));
    out.push(sealed.byteLength, new TextDecoder().decode(await subtle.decrypt({ name, ...params }, again, sealed)));
    try { await subtle.decrypt({ name }, again, sealed); } catch (e) { out.push(e.name); }
  } else {
    const signature = await subtle.sign({ name, ...params }, again, text("x"));
    out.push(signature.byteLength, await subtle.verify({ name, ...params }, publicKey, signature, text("x")), await subtle.verify({ name, ...params }, publicKey, signature, text("y")));
  }
}
out.join(" | ");
