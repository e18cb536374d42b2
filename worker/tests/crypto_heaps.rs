//! Keys live in heaps, and randomness does not: what a fork or a restored heap must not repeat.

mod support;

use support::step;

#[test]
fn keys_survive_in_a_heap() {
    let (_, heap) = step(
        None,
        "const pairs = [];
         for (const name of ['ECDSA', 'Ed25519', 'RSA-PSS']) {
           pairs.push(await crypto.subtle.generateKey(
             { name, namedCurve: 'P-256', hash: 'SHA-256', modulusLength: 2048,
               publicExponent: new Uint8Array([1, 0, 1]) },
             false, ['sign', 'verify']));
         }
         const data = new Uint8Array([1, 2, 3]);
         const params = (key) => ({ name: key.algorithm.name, hash: 'SHA-256', saltLength: 32 });
         const signatures = [];
         for (const { privateKey } of pairs) {
           signatures.push(await crypto.subtle.sign(params(privateKey), privateKey, data));
         }
         const secret = await crypto.subtle.generateKey({ name: 'AES-GCM', length: 256 }, false,
           ['encrypt', 'decrypt']);
         const iv = crypto.getRandomValues(new Uint8Array(12));
         const sealed = await crypto.subtle.encrypt({ name: 'AES-GCM', iv }, secret, data);",
    );
    let (_, heap) = step(Some(heap), "1");
    let (result, _) = step(
        Some(heap),
        "const results = [];
         for (let i = 0; i < pairs.length; ++i) {
           const { publicKey, privateKey } = pairs[i];
           const again = await crypto.subtle.sign(params(privateKey), privateKey, data);
           results.push(
             await crypto.subtle.verify(params(publicKey), publicKey, signatures[i], data),
             await crypto.subtle.verify(params(publicKey), publicKey, again, data),
             privateKey instanceof CryptoKey, privateKey.extractable, privateKey.usages);
         }
         results.push(new Uint8Array(
           await crypto.subtle.decrypt({ name: 'AES-GCM', iv }, secret, sealed)));
         results.join()",
    );
    let pair = "true,true,true,false,sign,";
    assert_eq!(result, format!("{pair}{pair}{pair}1,2,3"));
}

#[test]
fn equal_heaps_give_different_random_values() {
    let (_, heap) = step(None, "crypto.randomUUID(); globalThis.ready = true;");
    let source = "const made = crypto.getRandomValues(new Uint8Array(8));
        const { privateKey } = await crypto.subtle.generateKey('X25519', true, ['deriveBits']);
        [crypto.randomUUID(), made, (await crypto.subtle.exportKey('jwk', privateKey)).d].join()";
    let first = step(Some(heap.clone()), source).0;
    let second = step(Some(heap), source).0;
    for (first, second) in first.split(',').zip(second.split(',')).step_by(9) {
        assert_ne!(first, second);
    }
    assert_eq!(first.split(',').count(), 10);
}
