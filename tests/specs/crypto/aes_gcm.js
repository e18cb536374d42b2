// expect: completed "5bc94fbc3221a5db94fae95ae7121a47 | true | 5bc94fbc | true | 5bc94fbc3221a5db | true | 5bc94fbc3221a5db94fae95a | true | 5bc94fbc3221a5db94fae95ae7 | true | 5bc94fbc3221a5db94fae95ae712 | true | 5bc94fbc3221a5db94fae95ae7121a | true | 5bc94fbc3221a5db94fae95ae7121a47 | true | 09b11e79ce08aacf | 9f8e7538c596af725102cb45a1d28ac5"
const out = [];
const hex = (bytes) => Array.from(new Uint8Array(bytes), (b) => b.toString(16).padStart(2, "0")).join("");
const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (b) => parseInt(b, 16));
const text = (string) => new TextEncoder().encode(string);
const name = async (promise) => { try { await promise; return "done"; } catch (e) { return e.name; } };
const { subtle } = crypto;
const key = await subtle.importKey("raw", bytes("feffe9928665731c6d6a8f9467308308"), "AES-GCM", false, ["encrypt", "decrypt"]);
const plain = bytes("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39");
const additionalData = bytes("feedfacedeadbeeffeedfacedeadbeefabaddad2");
for (const tagLength of [undefined, 32, 64, 96, 104, 112, 120, 128]) {
  const params = { name: "AES-GCM", iv: bytes("cafebabefacedbaddecaf888"), additionalData, tagLength };
  const sealed = await subtle.encrypt(params, key, plain);
  out.push(hex(sealed).slice(120), hex(await subtle.decrypt(params, key, sealed)) === hex(plain));
}
const long = { name: "AES-GCM", iv: new Uint8Array(60).fill(9) };
out.push(hex(await subtle.encrypt(long, key, plain)).slice(0, 16), hex(await subtle.encrypt(long, key, new Uint8Array(0))));
out.join(" | ");
