// expect: completed "secret | true | true | done | InvalidAccessError | InvalidAccessError | 0 | [object CryptoKey] | false | TypeError | Illegal invocation"
const out = [];
const hex = (bytes) => Array.from(new Uint8Array(bytes), (b) => b.toString(16).padStart(2, "0")).join("");
const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (b) => parseInt(b, 16));
const text = (string) => new TextEncoder().encode(string);
const name = async (promise) => { try { await promise; return "done"; } catch (e) { return e.name; } };
const { subtle } = crypto;
const key = await subtle.generateKey({ name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
out.push(key.type, key.algorithm === key.algorithm, key.usages === key.usages);
key.algorithm.name = "AES-GCM";
key.algorithm.hash.name = "MD5";
key.usages.push("verify");
key.extractable = true;
out.push(await name(subtle.sign("HMAC", key, text("x"))), await name(subtle.verify("HMAC", key, new Uint8Array(32), text("x"))), await name(subtle.exportKey("raw", key)));
out.push(Object.getOwnPropertySymbols(key).length, String(key), key.extractable);
try { CryptoKey.prototype.type; } catch (e) { out.push(e.name, e.message); }
out.join(" | ");
