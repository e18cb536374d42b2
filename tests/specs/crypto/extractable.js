// expect: completed "false | InvalidAccessError | InvalidAccessError | InvalidAccessError | true | false | InvalidAccessError | done | DataError | done | 0 | {} | NotSupportedError"
const out = [];
const hex = (bytes) => Array.from(new Uint8Array(bytes), (b) => b.toString(16).padStart(2, "0")).join("");
const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (b) => parseInt(b, 16));
const text = (string) => new TextEncoder().encode(string);
const name = async (promise) => { try { await promise; return "done"; } catch (e) { return e.name; } };
const { subtle } = crypto;
const secret = await subtle.generateKey({ name: "AES-GCM", length: 128 }, false, ["encrypt", "wrapKey"]);
out.push(secret.extractable, await name(subtle.exportKey("raw", secret)), await name(subtle.exportKey("jwk", secret)));
out.push(await name(subtle.wrapKey("raw", secret, secret, { name: "AES-GCM", iv: new Uint8Array(12) })));
const pair = await subtle.generateKey("Ed25519", false, ["sign", "verify"]);
out.push(pair.publicKey.extractable, pair.privateKey.extractable, await name(subtle.exportKey("pkcs8", pair.privateKey)), await name(subtle.exportKey("spki", pair.publicKey)));
const jwk = { kty: "oct", k: "AAAAAAAAAAAAAAAAAAAAAA", ext: false };
out.push(await name(subtle.importKey("jwk", jwk, "AES-GCM", true, ["encrypt"])), await name(subtle.importKey("jwk", jwk, "AES-GCM", false, ["encrypt"])));
out.push(Object.getOwnPropertyNames(secret).length, JSON.stringify(secret));
const password = await subtle.importKey("raw", text("p"), "PBKDF2", false, ["deriveKey"]);
out.push(await name(subtle.exportKey("raw", password)));
out.join(" | ");
