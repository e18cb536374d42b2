// expect: completed "true | false | true"
const out = [];
const hex = (bytes) => Array.from(new Uint8Array(bytes), (b) => b.toString(16).padStart(2, "0")).join("");
const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (b) => parseInt(b, 16));
const text = (string) => new TextEncoder().encode(string);
const name = async (promise) => { try { await promise; return "done"; } catch (e) { return e.name; } };
const { subtle } = crypto;
// RFC 6979, A.2.5, "sample" with SHA-256.
const point = bytes("0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb67903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299");
const signature = bytes("efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8");
const key = await subtle.importKey("raw", point, { name: "ECDSA", namedCurve: "P-256" }, true, ["verify"]);
out.push(await subtle.verify({ name: "ECDSA", hash: "SHA-256" }, key, signature, text("sample")));
out.push(await subtle.verify({ name: "ECDSA", hash: "SHA-256" }, key, signature, text("Sample")));
const compressed = await subtle.importKey("raw", bytes("0360fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"), { name: "ECDSA", namedCurve: "P-256" }, true, ["verify"]);
out.push(hex(await subtle.exportKey("raw", compressed)) === hex(point));
out.join(" | ");
