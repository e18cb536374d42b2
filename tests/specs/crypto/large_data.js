// expect: completed "true"
// limits: heap_mb=8
// Results fill the budget of buffers many times over: those that nothing uses are collected.
const data = new Uint8Array(1 << 20).fill(1);
const key = await crypto.subtle.generateKey({ name: "AES-GCM", length: 128 }, false, ["encrypt", "decrypt"]);
const params = { name: "AES-GCM", iv: new Uint8Array(12) };
let same = true;
for (let i = 0; i < 12; ++i) {
  const opened = await crypto.subtle.decrypt(params, key, await crypto.subtle.encrypt(params, key, data));
  same &&= opened.byteLength === data.length && new Uint8Array(opened)[i] === 1;
}
same
