// expect: completed "22,secret"
const k = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, true, ["encrypt", "decrypt"]);
const iv = new Uint8Array(12), text = new TextEncoder().encode("secret");
const c = await crypto.subtle.encrypt({ name: "AES-GCM", iv }, k, text);
[c.byteLength, new TextDecoder().decode(await crypto.subtle.decrypt({ name: "AES-GCM", iv }, k, c))].join()
