// expect: completed "done | DataError | DataError | DataError | DataError | DataError | DataError | DataError | done | DataError | DataError | done | DataError | done | DataError | done | DataError | DataError | done | TypeError | {\"alg\":\"A128GCM\",\"ext\":true,\"k\":\"AAAAAAAAAAAAAAAAAAAAAA\",\"key_ops\":[\"encrypt\",\"decrypt\"],\"kty\":\"oct\"} | true | TypeError | TypeError | NotSupportedError | TypeError"
const out = [];
const hex = (bytes) => Array.from(new Uint8Array(bytes), (b) => b.toString(16).padStart(2, "0")).join("");
const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (b) => parseInt(b, 16));
const text = (string) => new TextEncoder().encode(string);
const name = async (promise) => { try { await promise; return "done"; } catch (e) { return e.name; } };
const { subtle } = crypto;
const jwk = { kty: "oct", k: "AAAAAAAAAAAAAAAAAAAAAA" };
const bring = (change, usages = ["encrypt"]) => name(subtle.importKey("jwk", { ...jwk, ...change }, "AES-GCM", true, usages));
out.push(await bring({}), await bring({ kty: "RSA" }), await bring({ kty: undefined }), await bring({ k: undefined }), await bring({ k: "AAAA" }), await bring({ k: "AAAA AAAAAAAAAAAAAAAAAA" }), await bring({ k: "AAAAAAAAAAAAAAAAAAAAAA==" }), await bring({ k: "++++++++++++++++++++++" }));
out.push(await bring({ alg: "A128GCM" }), await bring({ alg: "A256GCM" }), await bring({ alg: "A128CBC" }), await bring({ use: "enc" }), await bring({ use: "sig" }), await bring({ ext: true }), await bring({ ext: false }));
out.push(await bring({ key_ops: ["encrypt"] }), await bring({ key_ops: ["decrypt"] }), await bring({ key_ops: ["encrypt", "encrypt"] }), await bring({ key_ops: ["encrypt", "x"] }), await bring({ key_ops: 1 }));
const key = await subtle.importKey("jwk", jwk, "AES-GCM", true, ["encrypt", "decrypt"]);
const exported = await subtle.exportKey("jwk", key);
out.push(JSON.stringify(exported, Object.keys(exported).sort()), Array.isArray(exported.key_ops));
out.push(await name(subtle.importKey("jwk", text("x"), "AES-GCM", true, ["encrypt"])), await name(subtle.importKey("raw", jwk, "AES-GCM", true, ["encrypt"])), await name(subtle.importKey("spki", text("x"), "AES-GCM", true, ["encrypt"])), await name(subtle.importKey("x", text("x"), "AES-GCM", true, ["encrypt"])));
out.join(" | ");
