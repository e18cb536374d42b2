// expect: completed "bb7c9bf2 | 16 | 0 | 941eab58 | 16 | 15 | d59fa7bd | 32 | 16 | d59fa7bd | 32 | 17 | A128CBC | 128 | 5db79faa | 16 | 0 | e943a94f | 16 | 15 | 3d491cb5 | 32 | 16 | 3d491cb5 | 32 | 17 | A192CBC | 192 | d8f59337 | 16 | 0 | ff493473 | 16 | 15 | d7dbc2b2 | 32 | 16 | d7dbc2b2 | 32 | 17 | A256CBC | 256 | OperationError | OperationError | OperationError"
const out = [];
const hex = (bytes) => Array.from(new Uint8Array(bytes), (b) => b.toString(16).padStart(2, "0")).join("");
const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (b) => parseInt(b, 16));
const text = (string) => new TextEncoder().encode(string);
const name = async (promise) => { try { await promise; return "done"; } catch (e) { return e.name; } };
const { subtle } = crypto;
for (const size of [16, 24, 32]) {
  const key = await subtle.importKey("raw", new Uint8Array(size).fill(size), "AES-CBC", true, ["encrypt", "decrypt"]);
  for (const length of [0, 15, 16, 17]) {
    const iv = new Uint8Array(16).fill(1);
    const sealed = await subtle.encrypt({ name: "AES-CBC", iv }, key, new Uint8Array(length));
    out.push(hex(sealed).slice(0, 8), sealed.byteLength);
    out.push((await subtle.decrypt({ name: "AES-CBC", iv }, key, sealed)).byteLength);
  }
  out.push((await subtle.exportKey("jwk", key)).alg, key.algorithm.length);
}
const key = await subtle.generateKey({ name: "AES-CBC", length: 128 }, true, ["encrypt", "decrypt"]);
const iv = new Uint8Array(16);
out.push(await name(subtle.encrypt({ name: "AES-CBC", iv: iv.subarray(1) }, key, iv)));
out.push(await name(subtle.decrypt({ name: "AES-CBC", iv }, key, iv.subarray(1))));
out.push(await name(subtle.decrypt({ name: "AES-CBC", iv }, key, new Uint8Array(0))));
out.join(" | ");
