// expect: completed "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5 | 00112233445566778899aabbccddeeff | OperationError | OperationError | OperationError | OperationError"
const out = [];
const hex = (bytes) => Array.from(new Uint8Array(bytes), (b) => b.toString(16).padStart(2, "0")).join("");
const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (b) => parseInt(b, 16));
const text = (string) => new TextEncoder().encode(string);
const name = async (promise) => { try { await promise; return "done"; } catch (e) { return e.name; } };
const { subtle } = crypto;
const wrapping = await subtle.importKey("raw", bytes("000102030405060708090a0b0c0d0e0f"), "AES-KW", false, ["wrapKey", "unwrapKey"]);
const inner = await subtle.importKey("raw", bytes("00112233445566778899aabbccddeeff"), "AES-GCM", true, ["encrypt"]);
const wrapped = await subtle.wrapKey("raw", inner, wrapping, "AES-KW");
out.push(hex(wrapped));
const again = await subtle.unwrapKey("raw", wrapped, wrapping, "AES-KW", "AES-GCM", true, ["encrypt"]);
out.push(hex(await subtle.exportKey("raw", again)));
const unwrap = (data) => name(subtle.unwrapKey("raw", data, wrapping, "AES-KW", "AES-GCM", true, ["encrypt"]));
out.push(await unwrap(new Uint8Array(24)), await unwrap(new Uint8Array(16)), await unwrap(wrapped.slice(1)));
const odd = await subtle.importKey("raw", new Uint8Array(17), { name: "HMAC", hash: "SHA-1" }, true, ["sign"]);
out.push(await name(subtle.wrapKey("raw", odd, wrapping, "AES-KW")));
out.join(" | ");
