// expect: completed "2048 | 1,0,1 | true | true | true | false | false | known | OperationError | OperationError"
const out = [];
const hex = (bytes) => Array.from(new Uint8Array(bytes), (b) => b.toString(16).padStart(2, "0")).join("");
const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (b) => parseInt(b, 16));
const text = (string) => new TextEncoder().encode(string);
const name = async (promise) => { try { await promise; return "done"; } catch (e) { return e.name; } };
const { subtle } = crypto;
// A key, signatures and a ciphertext made by OpenSSL.
const pkcs8 = Uint8Array.from(atob("MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQCcBcvVxQ8jChEKPJ71B3zxt9OMmJMjtY12kNmZV5cyl5T6xFwNbWUTWI4kSj9dXDw2sLsjPRG8bWS+RHmh81oD7fM87X+aDfN9B/+4tEH58cZOdTgHPqtiMUKsTAgZgzKIxOfjd0au4go14xkTvMoQnHTG/Wdp/SgzTVTEHuD/mfMxIsQy1vdZBMBFgaobUHJlDf/DChG+S4crkBNysroThvsB6qPHwdg0xyVa8sF5fOQAGbxrUDypuJ1xZ+SzpEr3OhgqAWb9UPgiv/VVMH9YF1vwEYtHDnSnaCUJFduMHgJ2Pr6Tur9m0/GWlDeLCATddmuj/dPkL6z5V2Uj3huBAgMBAAECggEAA23RLq/iXEfIBhc8+xpLXFieP/Rzz2YZvNBZfULtN2xuFsYiq8eKtXkjGUMUehh2g6aGBl6SOYzsmOM9Cm/PEPpgInz/FUNXOu6REoh2UWhHOR7fDgcKPIyOmuYfi3KptVMhMYuZNGtoBAqArkFeQ4KHbSl75gVtURX9q0MZI3pAPXE2onFvr593CxOL2RxP/CmQ5a0C4P3kkUYYp404mH66P2a8/U+Xd8WF356rqoeJD7j0stJmrMKoxn2GcSf9X9VTWjcyRgclVdt9hC3abYf4oleEIiWkq7wfMMdxaoZJ260dZtFFoeEWDz2IpMU/4Rqi7IFIcWj7BK9i4K+rHQKBgQDI3VIfSBiaLKowA9WvApEpbLgDjOhi1uQ0ROh8Y82Y99lA0KQcmBYkpalpR2YYu7xvFnYv9H74DT8s/+qiwM1XMVXdVoqNgDuUnpWt25WhElwEza0u5/XqQzD8V1pixW2SrbKcDbySdVPkpOR2atLK1szBKGrZ217zyLFHJdp4OwKBgQDG2XOddC5BfrzK7pBixzJh0/rLtKMYa3F5Ul0SaSXq8utjbyFe8yMPrjjBJWd2HCdC3RNjgXbFYeFhEncbrGET6mGASLttnzGVlAPDLeH5OFSjcjpy8dPZHu9d2unx4Tl2fAHIXRy5vj5brsCKoAUA+A5RtS7rkuaRb7uVH0W7cwKBgEs8u1oEQ1LckBLUHOIk8AK4OmT6DsGXBHufpAWTzJsTm0jv3cjoHsMzWjWZDOEO0RI7M6HazwRS0eslINo9payXSjZSCCvgcHDGxgINUgq3OciC0e/T6wUIjfy3K5/7m4NplJFng87IK9hk+z5v3O0lcCSZ4wwfY32lGuIvh5mpAoGAEIF8V1WNgWJDyZSD568hP32ZE8+quhwxDyEHGMAhpZ8EavyOiJMmFecgTugL7oHnwGUZdukIMtotGyGtQV7NsBmEfmGLLU5Jj2D57vmgCE/ktqyErYXlT+CBfgjt4mYPnwYsH7Wa7NAd3P5kfR1LTQlKJv4jJurKuMfNilNONoECgYEAnpUdeRJeWf2PENmZbafX6CAOpW8iPGOSBPNgQJR0aFTDAmPlgOZel+DFO7UpbUn/+B7VndRLo9YNagL4dqn98lbJRHkZesD96+pfAT3VF6xnq8O0ecwKCXCHfcUYBDbGgCbQWS4PiKUn+lRz3WJLqzKRzCsOEp/IzCebBA2tPW8="), (c) => c.charCodeAt(0));
const signature = bytes("93b735b66da658fa14a4cef5d6b8748dc21c8705c0fffbc381da36d07a6ff456005f1beee7ed19970ae2da654c4546eb95e4580562fc0588e85a7697d984554eae2f8f1aeef63bc1f9948773b779cdf9bb77efbdd7910a8606f1c3e17f25c55dd2fec73c2daaa0e2ead482c69ed14df8091c33c808aeb7a986add2d54adacdbfad1ce4eb45ef4c1979f42f33b9bba4edd2388d5ce40bcb79ce4814e2f9e0ee66b01abe197cbd85b2180c71fd7b5892d91cf29424e9100fbdaba21c1b1409a2f4ebee4de8998eaa57b810d110c8cf7ffaaea1f6fae13e5aef3341f22b10d0416b1972be87d2947fcbbd1860a79eba194220764051274a9b4dd0fba71c68a5fe1c");
const pss = bytes("3335582bc4a721cb88b1698ec5570aaafa2492e2c73436a073ecd4a4f554ba02c8650366448ac5c27179204284d807570f93af34f5e216eaa22fdd08284897ca1e6df717e300d983f6571328619e760a26dc62a96213ad00b03031d5f918182d43f7634ec12351237291b050304a9d2f5499c5c9b498952f0de8db586953bf71121218dabab1b49c2b9201d881971aed5bd95dc003b55365da718f748d72b4c4fd022b46cb65461a4c5882cbb3297ee9f852630b034d7d719d54ccac5221e1074949d553e0e664a67c9d1a3f0a0103ad98cb2e4c5eb82d97ffb5124dfb9aab959e6fc52caa4d2cdbd758ea7ebdea3e927986cc0e9e02e80713f064e6801cb848");
const sealed = bytes("614bcfcc4accbdf0d8ec7512ee42192f034d66f3beae49a570a3c5616be8eb39a4650cafc6669556912b7fb2a03843ceb8971f11495eee4c10519630f51041d874468795bb6ceac95d6efbf3dcadf52db38e78d5729269e5201dda1da2ad568a02c3a17bdb0f3e0a17d8eba8d89328ea5445fa59d2495ca2fee674795ee6bc203fb6ee168e28156eaadf935e5f8517b06cc3f0c8059a10330fbea64374dc423f48dcc1372092a749b0589df717828b0897ca3920f49ae9058b350bd719e5ea5b098b33b1d1bd513dd739ed61d5df7f34081ac5b2a991fbbffbbbefd081a4d6bd19f9813fbd3bea68f347cb8b253a210d289db09b05255deedf7159eef69d3bdc");
const hash = "SHA-256";
const sign = await subtle.importKey("pkcs8", pkcs8, { name: "RSASSA-PKCS1-v1_5", hash }, true, ["sign"]);
out.push(sign.algorithm.modulusLength, sign.algorithm.publicExponent, hex(await subtle.exportKey("pkcs8", sign)) === hex(pkcs8));
out.push(hex(await subtle.sign("RSASSA-PKCS1-v1_5", sign, text("known"))) === hex(signature));
const { kty, n, e } = await subtle.exportKey("jwk", sign);
const verify = await subtle.importKey("jwk", { kty, n, e }, { name: "RSA-PSS", hash }, true, ["verify"]);
out.push(await subtle.verify({ name: "RSA-PSS", saltLength: 32 }, verify, pss, text("known")));
out.push(await subtle.verify({ name: "RSA-PSS", saltLength: 31 }, verify, pss, text("known")));
out.push(await subtle.verify({ name: "RSA-PSS", saltLength: 32 }, verify, signature, text("known")));
const decrypt = await subtle.importKey("pkcs8", pkcs8, { name: "RSA-OAEP", hash }, false, ["decrypt"]);
out.push(new TextDecoder().decode(await subtle.decrypt({ name: "RSA-OAEP", label: text("known") }, decrypt, sealed)));
out.push(await name(subtle.decrypt({ name: "RSA-OAEP", label: text("other") }, decrypt, sealed)));
out.push(await name(subtle.decrypt({ name: "RSA-OAEP" }, decrypt, sealed.subarray(1))));
out.join(" | ");
