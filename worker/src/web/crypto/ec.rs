//! ECDSA and ECDH on NIST's curves.

use ecdsa::Signature;
use ecdsa::hazmat::{sign_prehashed_rfc6979, verify_prehashed};
use elliptic_curve::sec1::ToSec1Point;
use elliptic_curve::{Generate, PublicKey, SecretKey};
use spki::ObjectIdentifier;

use super::hash::Hash;
use super::random::{self, SystemRandom};
use super::{CryptoError, Result};

/// A curve of Web Cryptography.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Curve {
    /// P-256.
    P256,
    /// P-384.
    P384,
    /// P-521.
    P521,
}

/// Evaluates an expression with a name for the curve's type, and one for the hash function that its
/// nonces are made with.
macro_rules! with_curve {
    ($curve:expr, $C:ident, $D:ident => $body:expr) => {
        match $curve {
            Curve::P256 => {
                type $C = p256::NistP256;
                type $D = sha2::Sha256;
                $body
            }
            Curve::P384 => {
                type $C = p384::NistP384;
                type $D = sha2::Sha384;
                $body
            }
            Curve::P521 => {
                type $C = p521::NistP521;
                type $D = sha2::Sha512;
                $body
            }
        }
    };
    ($curve:expr, $C:ident => $body:expr) => {
        match $curve {
            Curve::P256 => {
                type $C = p256::NistP256;
                $body
            }
            Curve::P384 => {
                type $C = p384::NistP384;
                $body
            }
            Curve::P521 => {
                type $C = p521::NistP521;
                $body
            }
        }
    };
}

const NOT_PRIVATE: CryptoError = CryptoError::Data("The private key is not one of the curve");
const NOT_A_POINT: CryptoError = CryptoError::Data("The public key is not a point of the curve");

impl Curve {
    /// By the name that the standard gives it.
    pub(crate) fn from_name(name: &str) -> Result<Self> {
        match name {
            "P-256" => Ok(Self::P256),
            "P-384" => Ok(Self::P384),
            "P-521" => Ok(Self::P521),
            _ => Err(CryptoError::NotSupported("Unrecognized named curve")),
        }
    }

    /// Its name in DER.
    pub(crate) fn oid(self) -> ObjectIdentifier {
        match self {
            Self::P256 => ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7"),
            Self::P384 => ObjectIdentifier::new_unwrap("1.3.132.0.34"),
            Self::P521 => ObjectIdentifier::new_unwrap("1.3.132.0.35"),
        }
    }

    /// The length of a coordinate, of a scalar, and of each half of a signature.
    pub(crate) fn field_bytes(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }
}

/// A new private key.
pub(crate) fn generate(curve: Curve) -> Result<Vec<u8>> {
    with_curve!(curve, C => {
        let key = SecretKey::<C>::try_generate_from_rng(&mut SystemRandom)
            .map_err(|_| CryptoError::Operation("The kernel gave no random numbers"))?;
        Ok(key.to_bytes().to_vec())
    })
}

/// The public key of a private key.
pub(crate) fn public(curve: Curve, private: &[u8]) -> Result<Vec<u8>> {
    check_length(curve, private)?;
    with_curve!(curve, C => {
        let key = SecretKey::<C>::from_slice(private).map_err(|_| NOT_PRIVATE)?;
        Ok(key.public_key().to_sec1_point(false).as_bytes().to_vec())
    })
}

/// The uncompressed form of a point in any SEC1 form. The point at infinity is an error, and so is
/// one that is not on the curve.
pub(crate) fn point(curve: Curve, sec1: &[u8]) -> Result<Vec<u8>> {
    // Tags other than these are forms that the standard does not have.
    if !matches!(sec1.first(), Some(2..=4)) {
        return Err(NOT_A_POINT);
    }
    with_curve!(curve, C => {
        let key = PublicKey::<C>::from_sec1_bytes(sec1).map_err(|_| NOT_A_POINT)?;
        Ok(key.to_sec1_point(false).as_bytes().to_vec())
    })
}

/// The point with these coordinates.
pub(crate) fn point_from_coordinates(curve: Curve, x: &[u8], y: &[u8]) -> Result<Vec<u8>> {
    if x.len() != curve.field_bytes() || y.len() != curve.field_bytes() {
        return Err(CryptoError::Data(
            "The coordinates do not have the length of the curve",
        ));
    }
    point(curve, &[&[4], x, y].concat())
}

/// Checks that a private key is one, and that the public key, if any, belongs to it.
pub(crate) fn check_pair(curve: Curve, private: &[u8], expected: Option<&[u8]>) -> Result<()> {
    let made = public(curve, private)?;
    match expected {
        Some(expected) if point(curve, expected)? != made => Err(CryptoError::Data(
            "The public key does not belong to the private key",
        )),
        _ => Ok(()),
    }
}

fn check_length(curve: Curve, private: &[u8]) -> Result<()> {
    if private.len() == curve.field_bytes() {
        Ok(())
    } else {
        Err(NOT_PRIVATE)
    }
}

/// An ECDSA signature as the two numbers, each as long as the field (IEEE P1363). The nonce is that
/// of RFC 6979 with added randomness: neither a weak generator nor a fault in one run betrays the key.
pub(crate) fn sign(curve: Curve, hash: Hash, private: &[u8], data: &[u8]) -> Result<Vec<u8>> {
    sign_with(curve, hash, private, data, &random::bytes::<32>()?)
}

fn sign_with(
    curve: Curve,
    hash: Hash,
    private: &[u8],
    data: &[u8],
    added: &[u8],
) -> Result<Vec<u8>> {
    check_length(curve, private)?;
    let digest = hash.digest(data);
    with_curve!(curve, C, D => {
        let key = SecretKey::<C>::from_slice(private).map_err(|_| NOT_PRIVATE)?;
        let (signature, _) =
            sign_prehashed_rfc6979::<C, D>(&key.to_nonzero_scalar(), &digest, added);
        Ok(signature.to_bytes().to_vec())
    })
}

/// Whether an ECDSA signature is right.
pub(crate) fn verify(
    curve: Curve,
    hash: Hash,
    public: &[u8],
    data: &[u8],
    signature: &[u8],
) -> Result<bool> {
    let digest = hash.digest(data);
    with_curve!(curve, C => {
        let key = PublicKey::<C>::from_sec1_bytes(public).map_err(|_| NOT_A_POINT)?;
        let Ok(signature) = Signature::<C>::from_slice(signature) else { return Ok(false) };
        Ok(verify_prehashed(&key.to_projective(), &digest, &signature).is_ok())
    })
}

/// The x coordinate of the shared point.
pub(crate) fn agree(curve: Curve, private: &[u8], public: &[u8]) -> Result<Vec<u8>> {
    check_length(curve, private)?;
    with_curve!(curve, C => {
        let private = SecretKey::<C>::from_slice(private).map_err(|_| NOT_PRIVATE)?;
        let public = PublicKey::<C>::from_sec1_bytes(public).map_err(|_| NOT_A_POINT)?;
        Ok(private.diffie_hellman(&public).raw_secret_bytes().to_vec())
    })
}

#[cfg(test)]
mod tests {
    use base16ct::lower::decode_vec as hex;

    use super::*;

    const CURVES: [Curve; 3] = [Curve::P256, Curve::P384, Curve::P521];
    const HASHES: [Hash; 4] = [Hash::Sha1, Hash::Sha256, Hash::Sha384, Hash::Sha512];

    /// RFC 6979, A.2.5: the key, its point, and the signatures of "sample" with SHA-256 and SHA-1
    /// (the latter only verified: its nonce comes from another hash function).
    #[test]
    fn signatures_of_rfc_6979() {
        let private = "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721";
        let point = "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6\
                     7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299";
        let sha256 = "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716\
                      f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8";
        let sha1 = "61340c88c3aaebeb4f6d667f672ca9759a6ccaa9fa8811313039ee4a35471d32\
                    6d7f147dac089441bb2e2fe8f7a3fa264b9c475098fdcf6e00d7c996e1b8b7eb";
        let [private, point, sha256, sha1] =
            [private, point, sha256, sha1].map(|text| hex(text).unwrap());
        assert_eq!(public(Curve::P256, &private).unwrap(), point);
        let made = sign_with(Curve::P256, Hash::Sha256, &private, b"sample", &[]).unwrap();
        assert_eq!(made, sha256);
        assert!(verify(Curve::P256, Hash::Sha256, &point, b"sample", &sha256).unwrap());
        assert!(verify(Curve::P256, Hash::Sha1, &point, b"sample", &sha1).unwrap());
        assert!(!verify(Curve::P256, Hash::Sha256, &point, b"sample", &sha1).unwrap());
    }

    /// Hashes both shorter and longer than the curve's order.
    #[test]
    fn every_hash_goes_with_every_curve() {
        for curve in CURVES {
            let private = generate(curve).unwrap();
            let public = public(curve, &private).unwrap();
            assert_eq!(private.len(), curve.field_bytes());
            assert_eq!(public.len(), 2 * curve.field_bytes() + 1);
            for hash in HASHES {
                let signature = sign(curve, hash, &private, b"text").unwrap();
                assert_eq!(signature.len(), 2 * curve.field_bytes());
                assert!(verify(curve, hash, &public, b"text", &signature).unwrap());
                assert!(!verify(curve, hash, &public, b"Text", &signature).unwrap());
                assert!(!verify(curve, hash, &public, b"text", &signature[1..]).unwrap());
                assert!(!verify(curve, hash, &public, b"text", &vec![0; signature.len()]).unwrap());
            }
        }
    }

    /// RFC 5903, 8.1.
    #[test]
    fn agreement_of_rfc_5903() {
        let [i, x, y, shared] = [
            "c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433",
            "d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf63",
            "56fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab",
            "d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de",
        ]
        .map(|text| hex(text).unwrap());
        let public = point_from_coordinates(Curve::P256, &x, &y).unwrap();
        assert_eq!(agree(Curve::P256, &i, &public).unwrap(), shared);
    }

    #[test]
    fn points_are_checked() {
        for curve in CURVES {
            let private = generate(curve).unwrap();
            let uncompressed = public(curve, &private).unwrap();
            let length = curve.field_bytes();
            let mut compressed = uncompressed[..=length].to_vec();
            compressed[0] = 2 + (uncompressed[2 * length] & 1);
            assert_eq!(point(curve, &compressed).unwrap(), uncompressed);
            let mut off_curve = uncompressed.clone();
            off_curve[2 * length] ^= 1;
            for wrong in [
                &[][..],
                &[0],
                &[4],
                &off_curve,
                &compressed[1..],
                &[0xff; 200],
            ] {
                assert_eq!(point(curve, wrong), Err(NOT_A_POINT));
                assert!(agree(curve, &private, wrong).is_err());
            }
            assert!(check_pair(curve, &private, Some(&uncompressed)).is_ok());
            let other = public(curve, &generate(curve).unwrap()).unwrap();
            assert!(check_pair(curve, &private, Some(&other)).is_err());
            for wrong in [
                vec![0; length],
                vec![0xff; length],
                vec![1; length - 1],
                vec![],
            ] {
                assert_eq!(public(curve, &wrong), Err(NOT_PRIVATE));
            }
        }
    }
}
