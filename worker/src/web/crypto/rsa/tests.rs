use super::*;
use crate::web::crypto::containers::{Family, read_pkcs8, read_spki, write_pkcs8, write_spki};

/// One key for all tests: making one is slow.
fn key() -> &'static [u8] {
    static KEY: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    KEY.get_or_init(|| generate(2048).unwrap())
}

const HASHES: [Hash; 4] = [Hash::Sha1, Hash::Sha256, Hash::Sha384, Hash::Sha512];

#[test]
fn signatures_are_verified() {
    let public = public(key()).unwrap();
    for hash in HASHES {
        for padding in [
            Padding::Pkcs1v15,
            Padding::Pss { salt_bytes: 0 },
            Padding::Pss { salt_bytes: 32 },
        ] {
            let signature = sign(padding, hash, key(), b"text").unwrap();
            assert_eq!(signature.len(), 256);
            assert!(verify(padding, hash, &public, b"text", &signature).unwrap());
            assert!(!verify(padding, hash, &public, b"Text", &signature).unwrap());
            assert!(!verify(padding, hash, &public, b"text", &signature[1..]).unwrap());
            assert!(!verify(padding, hash, &public, b"text", &[0xff; 256]).unwrap());
        }
    }
    let signature = sign(
        Padding::Pss { salt_bytes: 32 },
        Hash::Sha256,
        key(),
        b"text",
    )
    .unwrap();
    let other = Padding::Pss { salt_bytes: 20 };
    assert!(!verify(other, Hash::Sha256, &public, b"text", &signature).unwrap());
}

#[test]
fn salts_have_an_end() {
    let public = public(key()).unwrap();
    for salt_bytes in [256 - 32 - 1, 1 << 20, usize::MAX] {
        let padding = Padding::Pss { salt_bytes };
        assert!(sign(padding, Hash::Sha256, key(), b"text").is_err());
        assert!(!verify(padding, Hash::Sha256, &public, b"text", &[1; 256]).unwrap());
    }
    assert!(
        sign(
            Padding::Pss {
                salt_bytes: 256 - 32 - 2
            },
            Hash::Sha256,
            key(),
            b"text"
        )
        .is_ok()
    );
}

#[test]
fn encryption_comes_back() {
    let public = public(key()).unwrap();
    for hash in HASHES {
        for label in [&b""[..], b"label"] {
            let made = encrypt(hash, &public, label, b"secret").unwrap();
            assert_eq!(decrypt(hash, key(), label, &made).unwrap(), b"secret");
            assert!(decrypt(hash, key(), b"other", &made).is_err());
            assert!(decrypt(hash, key(), label, &made[1..]).is_err());
        }
    }
    let longest = [0; 256 - 2 * 32 - 2];
    assert!(encrypt(Hash::Sha256, &public, b"", &longest).is_ok());
    assert!(encrypt(Hash::Sha256, &public, b"", &[0; 256 - 2 * 32 - 1]).is_err());
}

#[test]
fn numbers_make_the_key_again() {
    let private = private_numbers(key()).unwrap();
    assert_eq!(private.modulus_bits, 2048);
    assert_eq!(private.values[1], [1, 0, 1]);
    let [n, e, d, p, q] = [0, 1, 2, 3, 4].map(|index| private.values[index].as_slice());
    assert_eq!(private_from_numbers([n, e, d, p, q]).unwrap(), key());
    let padded = [&[0, 0], n].concat();
    assert_eq!(private_from_numbers([&padded, e, d, p, q]).unwrap(), key());
    let public = public(key()).unwrap();
    assert_eq!(public_from_numbers(&padded, e).unwrap(), public);
    assert_eq!(public_numbers(&public).unwrap().values, private.values[..2]);

    assert!(private_from_numbers([n, e, d, q, n]).is_err());
    assert!(private_from_numbers([n, e, n, p, q]).is_err());
    assert!(private_from_numbers([n, e, d, &[], &[1]]).is_err());
    assert!(private_from_numbers([&[], &[], &[], &[], &[]]).is_err());
    assert!(public_from_numbers(n, &[1]).is_err());
    assert!(public_from_numbers(n, &[]).is_err());
    assert!(public_from_numbers(&n[..100], e).is_err());
    assert!(public_from_numbers(&[0xff; 1025], e).is_err());
}

#[test]
fn lengths_of_new_keys_are_bounded() {
    for bits in [0, 512, 2047, 2049, 4104, u32::MAX] {
        assert_eq!(generate(bits).unwrap_err().name(), "OperationError");
    }
}

/// Bytes changed all over the key: an error or another key, never a panic.
#[test]
fn damaged_keys_are_refused_or_other_keys() {
    let public = public(key()).unwrap();
    let spki = write_spki(Family::Rsa, &public).unwrap();
    let pkcs8 = write_pkcs8(Family::Rsa, key()).unwrap();
    assert_eq!(read_spki(Family::Rsa, &spki).unwrap(), public);
    assert_eq!(read_pkcs8(Family::Rsa, &pkcs8).unwrap(), key());
    for index in (0..60).chain((60..pkcs8.len()).step_by(17)) {
        let mut changed = pkcs8.clone();
        changed[index] ^= 0x81;
        let _ = read_pkcs8(Family::Rsa, &changed);
        assert!(read_pkcs8(Family::Rsa, &pkcs8[..index]).is_err());
    }
    for index in 0..spki.len() {
        let mut changed = spki.clone();
        changed[index] ^= 0x81;
        if let Ok(other) = read_spki(Family::Rsa, &changed) {
            let _ = verify(Padding::Pkcs1v15, Hash::Sha256, &other, b"", &[1; 256]);
            let _ = encrypt(Hash::Sha1, &other, b"", b"text");
        }
    }
}
