// expect: completed "512 | 64 | 8 | 1 | 13 | 2 | 512 | 64 | 4096 | 512 | 1024 | OperationError | TypeError | TypeError | 24 | 24 | DataError | DataError | DataError"
const out = [];
const hex = (bytes) => Array.from(new Uint8Array(bytes), (b) => b.toString(16).padStart(2, "0")).join("");
const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (b) => parseInt(b, 16));
const text = (string) => new TextEncoder().encode(string);
const name = async (promise) => { try { await promise; return "done"; } catch (e) { return e.name; } };
const { subtle } = crypto;
const made = async (length, hash = "SHA-256") => (await subtle.generateKey({ name: "HMAC", hash, length }, true, ["sign"]));
for (const length of [undefined, 8, 13, 512, 4096]) {
  const key = await made(length);
  out.push(key.algorithm.length, (await subtle.exportKey("raw", key)).byteLength);
}
out.push((await made(undefined, "SHA-512")).algorithm.length);
out.push(await name(made(0)), await name(made(-1)), await name(made(2 ** 32)));
const brought = (length, size) => subtle.importKey("raw", new Uint8Array(size), { name: "HMAC", hash: "SHA-1", length }, true, ["sign"]);
out.push((await brought(undefined, 3)).algorithm.length, (await brought(24, 3)).algorithm.length);
out.push(await name(brought(25, 3)), await name(brought(16, 3)), await name(brought(undefined, 0)));
out.join(" | ");
