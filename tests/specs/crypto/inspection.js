// expect: completed "[object CryptoKey]"
// preview: "CryptoKey {\n  type: \"secret\",\n  extractable: false,\n  algorithm: { name: \"AES-GCM\", length: 256 },\n  usages: [ \"encrypt\", \"decrypt\" ]\n}"
// output: "Crypto { subtle: SubtleCrypto {} }\n"
// output: "CryptoKey {\n  type: \"private\",\n  extractable: true,\n  algorithm: { name: \"ECDSA\", namedCurve: \"P-256\" },\n  usages: [ \"sign\" ]\n}\n"
console.log(crypto);
console.log((await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign"])).privateKey);
await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["decrypt", "encrypt"]);
