//! SHA-1, SHA-2 and HMAC over them.

use ::hmac::{Hmac, KeyInit, Mac};
use sha1::{Digest, Sha1};
use sha2::{Sha256, Sha384, Sha512};

use super::{CryptoError, Result};

/// A hash function of Web Cryptography.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hash {
    /// SHA-1: broken for signatures, kept by the standard for what is already there.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// Evaluates an expression with a name for the type of the hash function.
macro_rules! with_hash {
    ($hash:expr, $D:ident => $body:expr) => {
        match $hash {
            $crate::web::crypto::hash::Hash::Sha1 => {
                type $D = sha1::Sha1;
                $body
            }
            $crate::web::crypto::hash::Hash::Sha256 => {
                type $D = sha2::Sha256;
                $body
            }
            $crate::web::crypto::hash::Hash::Sha384 => {
                type $D = sha2::Sha384;
                $body
            }
            $crate::web::crypto::hash::Hash::Sha512 => {
                type $D = sha2::Sha512;
                $body
            }
        }
    };
}
pub(crate) use with_hash;

impl Hash {
    /// By the name that the standard gives it.
    pub(crate) fn from_name(name: &str) -> Result<Self> {
        match name {
            "SHA-1" => Ok(Self::Sha1),
            "SHA-256" => Ok(Self::Sha256),
            "SHA-384" => Ok(Self::Sha384),
            "SHA-512" => Ok(Self::Sha512),
            _ => Err(CryptoError::NotSupported("Unrecognized hash function")),
        }
    }

    /// The digest of a message.
    pub(crate) fn digest(self, data: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => Sha1::digest(data).to_vec(),
            Self::Sha256 => Sha256::digest(data).to_vec(),
            Self::Sha384 => Sha384::digest(data).to_vec(),
            Self::Sha512 => Sha512::digest(data).to_vec(),
        }
    }
}

const HMAC_KEY: CryptoError = CryptoError::Operation("The HMAC key cannot be used");

/// The HMAC of a message.
pub(crate) fn hmac(hash: Hash, key: &[u8], data: &[u8]) -> Result<Vec<u8>> {
    with_hash!(hash, D => {
        let mac = Hmac::<D>::new_from_slice(key).map_err(|_| HMAC_KEY)?;
        Ok(mac.chain_update(data).finalize().into_bytes().to_vec())
    })
}

/// Whether `tag` is the HMAC of the message, in a time that does not tell how much of it is right.
pub(crate) fn verify_hmac(hash: Hash, key: &[u8], data: &[u8], tag: &[u8]) -> Result<bool> {
    with_hash!(hash, D => {
        let mac = Hmac::<D>::new_from_slice(key).map_err(|_| HMAC_KEY)?;
        Ok(mac.chain_update(data).verify_slice(tag).is_ok())
    })
}

#[cfg(test)]
mod tests {
    use base16ct::lower::decode_vec as hex;

    use super::*;

    /// FIPS 180-4 examples, "abc".
    #[test]
    fn digests_of_abc() {
        for (hash, digest) in [
            (Hash::Sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (
                Hash::Sha256,
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            ),
            (
                Hash::Sha384,
                "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed\
                 8086072ba1e7cc2358baeca134c825a7",
            ),
            (
                Hash::Sha512,
                "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                 2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
            ),
        ] {
            assert_eq!(hash.digest(b"abc"), hex(digest).unwrap());
        }
    }

    /// RFC 4231, test cases 1 and 6 (a key longer than a block).
    #[test]
    fn hmac_of_rfc_4231() {
        let short = [0x0b; 20];
        let tag = hex("b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7").unwrap();
        assert_eq!(hmac(Hash::Sha256, &short, b"Hi There").unwrap(), tag);
        assert!(verify_hmac(Hash::Sha256, &short, b"Hi There", &tag).unwrap());
        assert!(!verify_hmac(Hash::Sha256, &short, b"Hi There", &tag[..31]).unwrap());
        assert!(!verify_hmac(Hash::Sha256, &short, b"Hi there", &tag).unwrap());

        let long = [0xaa; 131];
        let data = b"Test Using Larger Than Block-Size Key - Hash Key First";
        let tag = hex(
            "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352\
                       6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598",
        )
        .unwrap();
        assert_eq!(hmac(Hash::Sha512, &long, data).unwrap(), tag);
    }

    /// RFC 2202, test case 2.
    #[test]
    fn hmac_sha1_of_rfc_2202() {
        let tag = hex("effcdf6ae5eb2fa2d27416d5f184df9c259a7c79").unwrap();
        assert_eq!(
            hmac(Hash::Sha1, b"Jefe", b"what do ya want for nothing?").unwrap(),
            tag
        );
    }

    #[test]
    fn other_hashes_are_unknown() {
        assert_eq!(
            Hash::from_name("MD5").unwrap_err().name(),
            "NotSupportedError"
        );
        assert_eq!(Hash::from_name("SHA-384"), Ok(Hash::Sha384));
    }
}
