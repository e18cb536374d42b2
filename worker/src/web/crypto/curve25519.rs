//! Ed25519 signatures (RFC 8032) and X25519 key agreement (RFC 7748).

use ed25519_dalek::{Signature, Signer, SigningKey, Verifier, VerifyingKey};
use x25519_dalek::{PublicKey, StaticSecret};

use super::{CryptoError, Result, random};

/// The length of every key here.
pub(crate) const KEY_BYTES: usize = 32;

fn key(bytes: &[u8]) -> Result<[u8; KEY_BYTES]> {
    bytes
        .try_into()
        .map_err(|_| CryptoError::Data("The key must have 32 bytes"))
}

/// A new private key of either kind.
pub(crate) fn generate() -> Result<[u8; KEY_BYTES]> {
    random::bytes()
}

/// The Ed25519 public key of a private key.
pub(crate) fn ed25519_public(private: &[u8]) -> Result<[u8; KEY_BYTES]> {
    Ok(SigningKey::from_bytes(&key(private)?)
        .verifying_key()
        .to_bytes())
}

/// An Ed25519 signature of 64 bytes.
pub(crate) fn ed25519_sign(private: &[u8], data: &[u8]) -> Result<Vec<u8>> {
    let signature = SigningKey::from_bytes(&key(private)?)
        .try_sign(data)
        .map_err(|_| CryptoError::Operation("Signing failed"))?;
    Ok(signature.to_bytes().to_vec())
}

/// Whether an Ed25519 signature is right. Keys and points of small order are not.
pub(crate) fn ed25519_verify(public: &[u8], data: &[u8], signature: &[u8]) -> Result<bool> {
    let (Ok(public), Ok(signature)) = (
        VerifyingKey::from_bytes(&key(public)?),
        Signature::from_slice(signature),
    ) else {
        return Ok(false);
    };
    if public.is_weak() || public.verify_strict(data, &signature).is_err() {
        return Ok(false);
    }
    Ok(public.verify(data, &signature).is_ok())
}

/// The X25519 public key of a private key.
pub(crate) fn x25519_public(private: &[u8]) -> Result<[u8; KEY_BYTES]> {
    Ok(PublicKey::from(&StaticSecret::from(key(private)?)).to_bytes())
}

/// The shared secret of 32 bytes; one that does not depend on the private key is an error.
pub(crate) fn x25519_agree(private: &[u8], public: &[u8]) -> Result<Vec<u8>> {
    let secret = StaticSecret::from(key(private)?).diffie_hellman(&PublicKey::from(key(public)?));
    if !secret.was_contributory() {
        return Err(CryptoError::Operation(
            "The public key is a point of small order",
        ));
    }
    Ok(secret.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use base16ct::lower::decode_vec as hex;

    use super::*;

    /// RFC 8032, 7.1, tests 2 and 3.
    #[test]
    fn signatures_of_rfc_8032() {
        for (private, public, data, signature) in [
            (
                "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
                "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
                "72",
                "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
                 085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
            ),
            (
                "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
                "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
                "af82",
                "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac\
                 18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
            ),
        ] {
            let [private, public, data, signature] =
                [private, public, data, signature].map(|text| hex(text).unwrap());
            assert_eq!(ed25519_public(&private).unwrap(), public[..]);
            assert_eq!(ed25519_sign(&private, &data).unwrap(), signature);
            assert!(ed25519_verify(&public, &data, &signature).unwrap());
            assert!(!ed25519_verify(&public, b"other", &signature).unwrap());
            assert!(!ed25519_verify(&public, &data, &signature[1..]).unwrap());
        }
    }

    /// The identity as key and as R, with S = 0, fits every message in a lax verification.
    #[test]
    fn small_order_is_no_signature() {
        let mut identity = [0; 32];
        identity[0] = 1;
        let signature = [identity, [0; 32]].concat();
        assert!(!ed25519_verify(&identity, b"anything", &signature).unwrap());
    }

    /// RFC 7748, 6.1.
    #[test]
    fn agreement_of_rfc_7748() {
        let [alice_public, bob, bob_public, shared] = [
            "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
            "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
            "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
            "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742",
        ]
        .map(|text| hex(text).unwrap());
        assert_eq!(x25519_public(&bob).unwrap(), bob_public[..]);
        assert_eq!(x25519_agree(&bob, &alice_public).unwrap(), shared);
    }

    #[test]
    fn agreement_needs_a_point_that_contributes() {
        let private = generate().unwrap();
        assert!(x25519_agree(&private, &[0; 32]).is_err());
        assert!(x25519_agree(&private, &[9; 31]).is_err());
        assert!(x25519_public(&[]).is_err());
    }
}
