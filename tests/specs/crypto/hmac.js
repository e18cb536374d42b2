// expect: completed "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79 | true | false | false | 32 | HS1 | 5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843 | true | false | false | 32 | HS256 | af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649 | true | false | false | 32 | HS384 | 164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737 | true | false | false | 32 | HS512"
const out = [];
const hex = (bytes) => Array.from(new Uint8Array(bytes), (b) => b.toString(16).padStart(2, "0")).join("");
const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (b) => parseInt(b, 16));
const text = (string) => new TextEncoder().encode(string);
const name = async (promise) => { try { await promise; return "done"; } catch (e) { return e.name; } };
const { subtle } = crypto;
for (const hash of ["SHA-1", "SHA-256", "SHA-384", "SHA-512"]) {
  const key = await subtle.importKey("raw", text("Jefe"), { name: "HMAC", hash }, true, ["sign", "verify"]);
  const tag = await subtle.sign("HMAC", key, text("what do ya want for nothing?"));
  out.push(hex(tag));
  out.push(await subtle.verify("HMAC", key, tag, text("what do ya want for nothing?")));
  out.push(await subtle.verify("HMAC", key, tag, text("what do ya want for nothing!")));
  out.push(await subtle.verify("HMAC", key, tag.slice(1), text("what do ya want for nothing?")));
  out.push(key.algorithm.length, (await subtle.exportKey("jwk", key)).alg);
}
out.join(" | ");
