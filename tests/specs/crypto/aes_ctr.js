// expect: completed "ec8cdf7398607cb0f2d21675ea9ea1e4688412675f6fc11e39c4ed0a2aa11d08 | true | ec8cdf7398607cb0f2d21675ea9ea1e480d33eeafaac94c61cd445507a15f70c | true | ec8cdf7398607cb0f2d21675ea9ea1e44d08ef66db6c78047ad0639a1dd025f7 | true | ec8cdf7398607cb0f2d21675ea9ea1e4362b7c3c6773516318a077d7fc5073ae | true | ec8cdf7398607cb0f2d21675ea9ea1e4362b7c3c6773516318a077d7fc5073ae | true | OperationError | OperationError | OperationError | OperationError"
const out = [];
const hex = (bytes) => Array.from(new Uint8Array(bytes), (b) => b.toString(16).padStart(2, "0")).join("");
const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (b) => parseInt(b, 16));
const text = (string) => new TextEncoder().encode(string);
const name = async (promise) => { try { await promise; return "done"; } catch (e) { return e.name; } };
const { subtle } = crypto;
const key = await subtle.importKey("raw", bytes("2b7e151628aed2a6abf7158809cf4f3c"), "AES-CTR", false, ["encrypt", "decrypt"]);
const counter = bytes("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff");
for (const length of [1, 2, 8, 64, 128]) {
  const params = { name: "AES-CTR", counter, length };
  const sealed = await subtle.encrypt(params, key, new Uint8Array(32));
  out.push(hex(sealed), hex(await subtle.decrypt(params, key, sealed)) === "00".repeat(32));
}
out.push(await name(subtle.encrypt({ name: "AES-CTR", counter, length: 1 }, key, new Uint8Array(33))));
out.push(await name(subtle.encrypt({ name: "AES-CTR", counter, length: 0 }, key, new Uint8Array(1))));
out.push(await name(subtle.encrypt({ name: "AES-CTR", counter, length: 129 }, key, new Uint8Array(1))));
out.push(await name(subtle.encrypt({ name: "AES-CTR", counter: counter.subarray(1), length: 64 }, key, new Uint8Array(1))));
out.join(" | ");
