// expect: completed "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a | true | false | false | OKP | Ed25519 | _FHNjmIYoaONpH7QAjDwWAgW7RO6MwOsXeuRFUiQgCU | xaqN9D-fg3vtt0QvMdy3sWbThTUHbwlLhc46LgtEWPc | true | 302a300506032b6570032100fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025 | public | DataError | DataError"
const out = [];
const hex = (bytes) => Array.from(new Uint8Array(bytes), (b) => b.toString(16).padStart(2, "0")).join("");
const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (b) => parseInt(b, 16));
const text = (string) => new TextEncoder().encode(string);
const name = async (promise) => { try { await promise; return "done"; } catch (e) { return e.name; } };
const { subtle } = crypto;
// RFC 8032, 7.1, test 3.
const pkcs8 = bytes("302e020100300506032b657004220420" + "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7");
const privateKey = await subtle.importKey("pkcs8", pkcs8, "Ed25519", true, ["sign"]);
const publicKey = await subtle.importKey("raw", bytes("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"), "Ed25519", true, ["verify"]);
const signature = await subtle.sign("Ed25519", privateKey, bytes("af82"));
out.push(hex(signature), await subtle.verify("Ed25519", publicKey, signature, bytes("af82")), await subtle.verify("Ed25519", publicKey, signature, bytes("af83")));
out.push(await subtle.verify("Ed25519", publicKey, new Uint8Array(0), bytes("af82")));
const { crv, kty, x, d } = await subtle.exportKey("jwk", privateKey);
out.push(kty, crv, x, d, hex(await subtle.exportKey("pkcs8", privateKey)) === hex(pkcs8), hex(await subtle.exportKey("spki", publicKey)));
out.push((await subtle.importKey("jwk", { kty, crv, x }, "Ed25519", true, ["verify"])).type);
out.push(await name(subtle.importKey("jwk", { kty, crv, x: d, d }, "Ed25519", true, ["sign"])));
out.push(await name(subtle.importKey("raw", new Uint8Array(31), "Ed25519", true, ["verify"])));
out.join(" | ");
