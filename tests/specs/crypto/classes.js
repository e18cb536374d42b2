// expect: completed "true | true | [object Crypto] | [object SubtleCrypto] | TypeError | Illegal constructor | Crypto | 0 | TypeError | Illegal constructor | SubtleCrypto | 0 | TypeError | Illegal constructor | CryptoKey | 0 | algorithm,extractable,type,usages | decrypt,deriveBits,deriveKey,digest,encrypt,exportKey,generateKey,importKey,sign,unwrapKey,verify,wrapKey | true | function | 2 | 7 | 2 | TypeError | TypeError"
const out = [];
const hex = (bytes) => Array.from(new Uint8Array(bytes), (b) => b.toString(16).padStart(2, "0")).join("");
const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (b) => parseInt(b, 16));
const text = (string) => new TextEncoder().encode(string);
const name = async (promise) => { try { await promise; return "done"; } catch (e) { return e.name; } };
const { subtle } = crypto;
out.push(crypto instanceof Crypto, subtle instanceof SubtleCrypto, String(crypto), String(subtle));
for (const Class of [Crypto, SubtleCrypto, CryptoKey]) {
  try { new Class(); } catch (e) { out.push(e.name, e.message); }
  out.push(Class.name, Class.length);
}
out.push(Object.keys(CryptoKey.prototype).sort().join(), Object.keys(SubtleCrypto.prototype).sort().join());
out.push(subtle === crypto.subtle, typeof subtle.digest, subtle.digest.length, subtle.unwrapKey.length, subtle.deriveBits.length);
out.push(await name(subtle.digest.call({}, "SHA-1", text(""))), await name(subtle.digest.call(undefined, "SHA-1", text(""))));
out.join(" | ");
