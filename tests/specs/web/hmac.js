// expect: completed "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8,true"
const key = await crypto.subtle.importKey("raw", new TextEncoder().encode("key"), { name: "HMAC", hash: "SHA-256" }, false, ["sign", "verify"]);
const data = new TextEncoder().encode("The quick brown fox jumps over the lazy dog");
const s = await crypto.subtle.sign("HMAC", key, data);
[new Uint8Array(s).toHex(), await crypto.subtle.verify("HMAC", key, s, data)].join()
