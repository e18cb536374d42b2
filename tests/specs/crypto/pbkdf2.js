// expect: completed "ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957 | ea6c014dc72d6f8ccd1ed92ace1d41f0 | AES-GCM | 128 | encrypt | ae4d0c95af6b46d32d0adff928f06dd02a303f8e | ae4d0c95af6b46d32d0adff928f06dd0 | AES-GCM | 128 | encrypt | 54f775c6d790f21930459162fc535dbf04a93918 | 54f775c6d790f21930459162fc535dbf | AES-GCM | 128 | encrypt | e1d9c16aa681708a45f5c7c4e215ceb66e011a2e | e1d9c16aa681708a45f5c7c4e215ceb6 | AES-GCM | 128 | encrypt | OperationError | OperationError | OperationError | TypeError | SyntaxError | SyntaxError"
const out = [];
const hex = (bytes) => Array.from(new Uint8Array(bytes), (b) => b.toString(16).padStart(2, "0")).join("");
const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (b) => parseInt(b, 16));
const text = (string) => new TextEncoder().encode(string);
const name = async (promise) => { try { await promise; return "done"; } catch (e) { return e.name; } };
const { subtle } = crypto;
const key = await subtle.importKey("raw", text("password"), "PBKDF2", false, ["deriveBits", "deriveKey"]);
for (const hash of ["SHA-1", "SHA-256", "SHA-384", "SHA-512"]) {
  const params = { name: "PBKDF2", hash, salt: text("salt"), iterations: 2 };
  out.push(hex(await subtle.deriveBits(params, key, 160)));
  const derived = await subtle.deriveKey(params, key, { name: "AES-GCM", length: 128 }, true, ["encrypt"]);
  out.push(hex(await subtle.exportKey("raw", derived)), derived.algorithm.name, derived.algorithm.length, derived.usages);
}
const params = { name: "PBKDF2", hash: "SHA-1", salt: text("salt"), iterations: 1 };
out.push(await name(subtle.deriveBits(params, key, 9)), await name(subtle.deriveBits(params, key, null)));
out.push(await name(subtle.deriveBits({ ...params, iterations: 0 }, key, 128)));
out.push(await name(subtle.deriveBits({ ...params, iterations: -1 }, key, 128)));
out.push(await name(subtle.importKey("raw", text("x"), "PBKDF2", true, ["deriveBits"])));
out.push(await name(subtle.importKey("raw", text("x"), "PBKDF2", false, [])));
out.join(" | ");
