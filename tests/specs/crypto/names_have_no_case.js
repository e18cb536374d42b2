// expect: completed "AES-GCM | Ed25519 | HMAC | SHA-512 | NotSupportedError"
const out = [];
const hex = (bytes) => Array.from(new Uint8Array(bytes), (b) => b.toString(16).padStart(2, "0")).join("");
const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (b) => parseInt(b, 16));
const text = (string) => new TextEncoder().encode(string);
const name = async (promise) => { try { await promise; return "done"; } catch (e) { return e.name; } };
const { subtle } = crypto;
const key = await subtle.generateKey({ name: "aEs-gCm", length: 128 }, true, ["encrypt"]);
out.push(key.algorithm.name, (await subtle.generateKey("ED25519", true, ["sign"])).privateKey.algorithm.name);
const hmac = await subtle.generateKey({ name: "hmac", hash: { name: "sha-512" } }, true, ["sign"]);
out.push(hmac.algorithm.name, hmac.algorithm.hash.name);
out.push(await name(subtle.generateKey({ name: "ECDSA", namedCurve: "p-256" }, true, ["sign"])));
out.join(" | ");
