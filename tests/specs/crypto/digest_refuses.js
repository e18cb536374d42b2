// expect: completed "NotSupportedError | NotSupportedError | TypeError | TypeError | TypeError | TypeError | NotSupportedError"
const out = [];
const hex = (bytes) => Array.from(new Uint8Array(bytes), (b) => b.toString(16).padStart(2, "0")).join("");
const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (b) => parseInt(b, 16));
const text = (string) => new TextEncoder().encode(string);
const name = async (promise) => { try { await promise; return "done"; } catch (e) { return e.name; } };
const { subtle } = crypto;
out.push(await name(subtle.digest("MD5", text("abc"))));
out.push(await name(subtle.digest("AES-GCM", text("abc"))));
out.push(await name(subtle.digest("SHA-256", "abc")));
out.push(await name(subtle.digest("SHA-256", [1, 2])));
out.push(await name(subtle.digest("SHA-256")));
out.push(await name(subtle.digest({}, text("abc"))));
out.push(await name(subtle.digest(null, text("abc"))));
out.join(" | ");
