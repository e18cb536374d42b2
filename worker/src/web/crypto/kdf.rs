//! Keys from passwords (PBKDF2, RFC 8018) and from keys (HKDF, RFC 5869).

use ::hmac::Hmac;
use hkdf::Hkdf;

use super::hash::{Hash, with_hash};
use super::{CryptoError, Result};

/// The most bytes that PBKDF2 makes at once: far more than any key, and bounded memory.
pub(crate) const PBKDF2_BYTES_MAX: usize = 1 << 20;

/// `length` bytes out of a password. `iterations` is the cost, and must not be 0.
pub(crate) fn pbkdf2(
    hash: Hash,
    password: &[u8],
    salt: &[u8],
    iterations: u32,
    length: usize,
) -> Result<Vec<u8>> {
    if iterations == 0 {
        return Err(CryptoError::Operation(
            "PBKDF2 needs at least one iteration",
        ));
    }
    if length > PBKDF2_BYTES_MAX {
        return Err(CryptoError::Operation("PBKDF2 gives at most 1 MiB at once"));
    }
    let mut out = vec![0; length];
    with_hash!(hash, D => ::pbkdf2::pbkdf2::<Hmac<D>>(password, salt, iterations, &mut out))
        .map_err(|_| CryptoError::Operation("The password cannot be used"))?;
    Ok(out)
}

/// `length` bytes out of input key material: at most 255 times the hash's length.
pub(crate) fn hkdf(
    hash: Hash,
    material: &[u8],
    salt: &[u8],
    info: &[u8],
    length: usize,
) -> Result<Vec<u8>> {
    const TOO_LONG: CryptoError =
        CryptoError::Operation("HKDF gives at most 255 times the length of its hash");
    with_hash!(hash, D => {
        if length > 255 * <D as sha1::Digest>::output_size() {
            return Err(TOO_LONG);
        }
        let mut out = vec![0; length];
        Hkdf::<D>::new(Some(salt), material).expand(info, &mut out).map_err(|_| TOO_LONG)?;
        Ok(out)
    })
}

#[cfg(test)]
mod tests {
    use base16ct::lower::decode_vec as hex;

    use super::*;

    /// RFC 6070, cases 2 and 5.
    #[test]
    fn pbkdf2_of_rfc_6070() {
        let key = hex("ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957").unwrap();
        assert_eq!(
            pbkdf2(Hash::Sha1, b"password", b"salt", 2, 20).unwrap(),
            key
        );
        let key = hex("3d2eec4fe41c849b80c8d83662c0e44a8b291a964cf2f07038").unwrap();
        let made = pbkdf2(
            Hash::Sha1,
            b"passwordPASSWORDpassword",
            b"saltSALTsaltSALTsaltSALTsaltSALTsalt",
            4096,
            25,
        );
        assert_eq!(made.unwrap(), key);
    }

    /// RFC 7914, section 11.
    #[test]
    fn pbkdf2_of_rfc_7914() {
        let key = hex(
            "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc\
                       49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783",
        )
        .unwrap();
        assert_eq!(
            pbkdf2(Hash::Sha256, b"passwd", b"salt", 1, 64).unwrap(),
            key
        );
    }

    #[test]
    fn pbkdf2_is_bounded() {
        assert!(pbkdf2(Hash::Sha256, b"", b"", 0, 1).is_err());
        assert!(pbkdf2(Hash::Sha256, b"", b"", 1, PBKDF2_BYTES_MAX + 1).is_err());
        assert_eq!(pbkdf2(Hash::Sha256, b"", b"", 1, 0).unwrap(), b"");
    }

    /// RFC 5869, cases 1 and 3.
    #[test]
    fn hkdf_of_rfc_5869() {
        let material = [0x0b; 22];
        let salt = hex("000102030405060708090a0b0c").unwrap();
        let info = hex("f0f1f2f3f4f5f6f7f8f9").unwrap();
        let key = hex(
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf\
                       34007208d5b887185865",
        )
        .unwrap();
        assert_eq!(
            hkdf(Hash::Sha256, &material, &salt, &info, 42).unwrap(),
            key
        );
        let key = hex(
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d\
                       9d201395faa4b61a96c8",
        )
        .unwrap();
        assert_eq!(hkdf(Hash::Sha256, &material, b"", b"", 42).unwrap(), key);
    }

    #[test]
    fn hkdf_is_bounded() {
        assert_eq!(
            hkdf(Hash::Sha1, b"", b"", b"", 255 * 20).unwrap().len(),
            5100
        );
        assert!(hkdf(Hash::Sha1, b"", b"", b"", 255 * 20 + 1).is_err());
    }
}
