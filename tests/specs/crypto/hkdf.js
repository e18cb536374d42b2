// expect: completed "d6000ffb5b50bd3970b260017798fb9c8df9ce2e2c16b6cd709cca07dc3cf9cf26d6c6d750d0aaf5ac94 | 512 | d6000ffb | 3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865 | 512 | 3cb25f25 | 9b5097a86038b805309076a44b3a9f38063e25b516dcbf369f394cfab43685f748b6457763e4f0204fc5 | 1024 | 9b5097a8 | 832390086cda71fb47625bb5ceb168e4c8e26a1a16ed34d9fc7fe92c1481579338da362cb8d9f925d7cb | 1024 | 83239008 | OperationError | 5100 | TypeError"
const out = [];
const hex = (bytes) => Array.from(new Uint8Array(bytes), (b) => b.toString(16).padStart(2, "0")).join("");
const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (b) => parseInt(b, 16));
const text = (string) => new TextEncoder().encode(string);
const name = async (promise) => { try { await promise; return "done"; } catch (e) { return e.name; } };
const { subtle } = crypto;
const key = await subtle.importKey("raw", new Uint8Array(22).fill(11), "HKDF", false, ["deriveBits", "deriveKey"]);
const salt = bytes("000102030405060708090a0b0c"), info = bytes("f0f1f2f3f4f5f6f7f8f9");
for (const hash of ["SHA-1", "SHA-256", "SHA-384", "SHA-512"]) {
  const params = { name: "HKDF", hash, salt, info };
  out.push(hex(await subtle.deriveBits(params, key, 336)));
  const derived = await subtle.deriveKey(params, key, { name: "HMAC", hash }, true, ["sign"]);
  out.push(derived.algorithm.length, hex(await subtle.exportKey("raw", derived)).slice(0, 8));
}
out.push(await name(subtle.deriveBits({ name: "HKDF", hash: "SHA-1", salt, info }, key, 8 * 255 * 20 + 8)));
out.push((await subtle.deriveBits({ name: "HKDF", hash: "SHA-1", salt, info }, key, 8 * 255 * 20)).byteLength);
out.push(await name(subtle.deriveBits({ name: "HKDF", hash: "SHA-1", salt }, key, 8)));
out.join(" | ");
