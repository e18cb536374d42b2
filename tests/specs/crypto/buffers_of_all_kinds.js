// expect: completed "true | true | true | true | true | false | false | TypeError | TypeError | TypeError | TypeError"
const out = [];
const hex = (bytes) => Array.from(new Uint8Array(bytes), (b) => b.toString(16).padStart(2, "0")).join("");
const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (b) => parseInt(b, 16));
const text = (string) => new TextEncoder().encode(string);
const name = async (promise) => { try { await promise; return "done"; } catch (e) { return e.name; } };
const { subtle } = crypto;
const key = await subtle.generateKey({ name: "HMAC", hash: "SHA-256" }, false, ["sign", "verify"]);
const tag = await subtle.sign("HMAC", key, new ArrayBuffer(8));
const same = async (data) => subtle.verify("HMAC", key, tag, data);
out.push(await same(new Float64Array(1)), await same(new BigInt64Array(1)), await same(new DataView(new ArrayBuffer(9), 1)), await same(new Uint16Array(5).subarray(1)));
out.push(await same(new ArrayBuffer(8, { maxByteLength: 64 })), await same(new Uint8Array(7)));
const gone = new ArrayBuffer(8);
structuredClone(gone, { transfer: [gone] });
out.push(await same(gone), await name(same(new SharedArrayBuffer(8))), await name(same("text")), await name(same(null)));
out.push(await name(subtle.verify("HMAC", key, "tag", gone)));
out.join(" | ");
