//! Keys in DER: `SubjectPublicKeyInfo` (RFC 5280) and PKCS#8 `PrivateKeyInfo` (RFC 5958).

use pkcs8::{AlgorithmIdentifierRef, PrivateKeyInfoRef};
use sec1::EcPrivateKey;
use spki::der::asn1::{AnyRef, BitStringRef, OctetStringRef};
use spki::der::{Decode, Encode};
use spki::{ObjectIdentifier, SubjectPublicKeyInfoRef};

use super::ec::Curve;
use super::{CryptoError, Result, ec, rsa};

const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const X25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.110");

const MALFORMED: CryptoError = CryptoError::Data("The key is not valid DER of its format");
const OTHER_ALGORITHM: CryptoError = CryptoError::Data("The key is one of another algorithm");

/// What a container says about its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// A key on one of NIST's curves.
    Ec(Curve),
    /// An Ed25519 key.
    Ed25519,
    /// An X25519 key.
    X25519,
    /// An RSA key.
    Rsa,
}

impl Family {
    /// By the name of the curve, or `RSA`.
    pub(crate) fn from_name(name: &str) -> Result<Self> {
        match name {
            "Ed25519" => Ok(Self::Ed25519),
            "X25519" => Ok(Self::X25519),
            "RSA" => Ok(Self::Rsa),
            curve => Curve::from_name(curve).map(Self::Ec),
        }
    }

    fn check(self, algorithm: &AlgorithmIdentifierRef<'_>) -> Result<()> {
        let fits = match self {
            Self::Ec(curve) => {
                algorithm.oid == EC
                    && algorithm
                        .parameters_oid()
                        .is_ok_and(|named| named == curve.oid())
            }
            Self::Ed25519 => algorithm.oid == ED25519 && algorithm.parameters.is_none(),
            Self::X25519 => algorithm.oid == X25519 && algorithm.parameters.is_none(),
            Self::Rsa => algorithm.oid == RSA,
        };
        if fits { Ok(()) } else { Err(OTHER_ALGORITHM) }
    }

    /// Gives the family's algorithm identifier to a function.
    fn with_algorithm<T>(self, use_it: impl FnOnce(AlgorithmIdentifierRef<'_>) -> T) -> T {
        let named;
        let (oid, parameters) = match self {
            Self::Ec(curve) => {
                named = curve.oid();
                (EC, Some(AnyRef::from(&named)))
            }
            Self::Ed25519 => (ED25519, None),
            Self::X25519 => (X25519, None),
            Self::Rsa => (RSA, Some(AnyRef::NULL)),
        };
        use_it(AlgorithmIdentifierRef { oid, parameters })
    }
}

fn key_of_32_bytes(bytes: &[u8]) -> Result<Vec<u8>> {
    if bytes.len() == 32 {
        Ok(bytes.to_vec())
    } else {
        Err(MALFORMED)
    }
}

/// The public key in a `SubjectPublicKeyInfo`.
pub(crate) fn read_spki(family: Family, der: &[u8]) -> Result<Vec<u8>> {
    let info = SubjectPublicKeyInfoRef::from_der(der).map_err(|_| MALFORMED)?;
    family.check(&info.algorithm)?;
    let key = info.subject_public_key.as_bytes().ok_or(MALFORMED)?;
    match family {
        Family::Ec(curve) => ec::point(curve, key),
        Family::Ed25519 | Family::X25519 => key_of_32_bytes(key),
        Family::Rsa => rsa::normalize_public(key),
    }
}

/// A `SubjectPublicKeyInfo` with a public key.
pub(crate) fn write_spki(family: Family, public: &[u8]) -> Result<Vec<u8>> {
    family
        .with_algorithm(|algorithm| {
            let subject_public_key = BitStringRef::from_bytes(public)?;
            SubjectPublicKeyInfoRef {
                algorithm,
                subject_public_key,
            }
            .to_der()
        })
        .map_err(|_| MALFORMED)
}

/// The private key in a `PrivateKeyInfo`.
pub(crate) fn read_pkcs8(family: Family, der: &[u8]) -> Result<Vec<u8>> {
    let info = PrivateKeyInfoRef::from_der(der).map_err(|_| MALFORMED)?;
    family.check(&info.algorithm)?;
    let key = info.private_key.as_bytes();
    match family {
        Family::Ec(curve) => {
            let key = EcPrivateKey::from_der(key).map_err(|_| MALFORMED)?;
            let named = key
                .parameters
                .and_then(|parameters| parameters.named_curve());
            if named.is_some_and(|named| named != curve.oid()) {
                return Err(OTHER_ALGORITHM);
            }
            ec::check_pair(curve, key.private_key, key.public_key)?;
            Ok(key.private_key.to_vec())
        }
        Family::Ed25519 | Family::X25519 => {
            let key = <&OctetStringRef>::from_der(key).map_err(|_| MALFORMED)?;
            key_of_32_bytes(key.as_bytes())
        }
        Family::Rsa => rsa::normalize_private(key),
    }
}

/// A `PrivateKeyInfo` with a private key.
pub(crate) fn write_pkcs8(family: Family, private: &[u8]) -> Result<Vec<u8>> {
    let inner = match family {
        Family::Ec(curve) => {
            let public = ec::public(curve, private)?;
            let key = EcPrivateKey {
                private_key: private,
                parameters: None,
                public_key: Some(&public),
            };
            key.to_der().map_err(|_| MALFORMED)?
        }
        Family::Ed25519 | Family::X25519 => OctetStringRef::new(private)
            .and_then(|key| key.to_der())
            .map_err(|_| MALFORMED)?,
        Family::Rsa => private.to_vec(),
    };
    family
        .with_algorithm(|algorithm| {
            PrivateKeyInfoRef::new(algorithm, OctetStringRef::new(&inner)?).to_der()
        })
        .map_err(|_| MALFORMED)
}

#[cfg(test)]
mod tests {
    use base16ct::lower::decode_vec as hex;

    use super::*;
    use crate::web::crypto::curve25519;

    const FAMILIES: [Family; 5] = [
        Family::Ec(Curve::P256),
        Family::Ec(Curve::P384),
        Family::Ec(Curve::P521),
        Family::Ed25519,
        Family::X25519,
    ];

    fn pair(family: Family) -> (Vec<u8>, Vec<u8>) {
        match family {
            Family::Ec(curve) => {
                let private = ec::generate(curve).unwrap();
                let public = ec::public(curve, &private).unwrap();
                (private, public)
            }
            _ => {
                let private = curve25519::generate().unwrap();
                (
                    private.to_vec(),
                    curve25519::ed25519_public(&private).unwrap().to_vec(),
                )
            }
        }
    }

    #[test]
    fn what_is_written_can_be_read() {
        for family in FAMILIES {
            let (private, public) = pair(family);
            let spki = write_spki(family, &public).unwrap();
            assert_eq!(read_spki(family, &spki).unwrap(), public);
            let pkcs8 = write_pkcs8(family, &private).unwrap();
            assert_eq!(read_pkcs8(family, &pkcs8).unwrap(), private);
            for other in FAMILIES.into_iter().chain([Family::Rsa]) {
                if other != family {
                    assert_eq!(read_spki(other, &spki), Err(OTHER_ALGORITHM));
                    assert_eq!(read_pkcs8(other, &pkcs8), Err(OTHER_ALGORITHM));
                }
            }
        }
    }

    /// RFC 8410, section 10.1 and 10.3.
    #[test]
    fn ed25519_of_rfc_8410() {
        let spki = hex(
            "302a300506032b657003210019bf44096984cdfe8541bac167dc3b96c85086aa\
                        30b6b6cb0c5c38ad703166e1",
        )
        .unwrap();
        let pkcs8 = hex(
            "302e020100300506032b657004220420d4ee72dbf913584ad5b6d8f1f769f8ad\
                         3afe7c28cbf1d4fbe097a88f44755842",
        )
        .unwrap();
        let public = read_spki(Family::Ed25519, &spki).unwrap();
        let private = read_pkcs8(Family::Ed25519, &pkcs8).unwrap();
        assert_eq!(curve25519::ed25519_public(&private).unwrap(), public[..]);
        assert_eq!(write_spki(Family::Ed25519, &public).unwrap(), spki);
        assert_eq!(write_pkcs8(Family::Ed25519, &private).unwrap(), pkcs8);
    }

    /// Every byte changed in turn, and every length: an error or another key, never a panic.
    #[test]
    fn damaged_keys_are_refused_or_other_keys() {
        for family in FAMILIES {
            let (private, public) = pair(family);
            let written = [
                write_spki(family, &public).unwrap(),
                write_pkcs8(family, &private).unwrap(),
            ];
            for der in written {
                for index in 0..der.len() {
                    assert!(read_spki(family, &der[..index]).is_err());
                    assert!(read_pkcs8(family, &der[..index]).is_err());
                    for change in [0x01, 0x80, 0xff] {
                        let mut changed = der.clone();
                        changed[index] ^= change;
                        let _ = read_spki(family, &changed);
                        let _ = read_pkcs8(family, &changed);
                    }
                }
                let longer = [&der[..], &[0]].concat();
                assert!(read_spki(family, &longer).is_err());
                assert!(read_pkcs8(family, &longer).is_err());
            }
        }
    }
}
