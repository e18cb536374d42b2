//! AES in the modes CBC, CTR and KW. GCM is in `gcm`.

use ::aes::cipher::block_padding::Pkcs7;
use ::aes::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyInit, KeyIvInit, StreamCipher};

use super::{CryptoError, Result};

/// A block, in bytes; also an initialization vector's and a counter's length.
pub(crate) const BLOCK_BYTES: usize = 16;

/// Evaluates an expression with a name for the cipher that the key's length selects.
macro_rules! with_aes {
    ($key:expr, $C:ident => $body:expr) => {
        match $key.len() {
            16 => {
                type $C = ::aes::Aes128;
                $body
            }
            24 => {
                type $C = ::aes::Aes192;
                $body
            }
            32 => {
                type $C = ::aes::Aes256;
                $body
            }
            _ => Err($crate::web::crypto::aes::KEY_LENGTH),
        }
    };
}
pub(crate) use with_aes;

pub(super) const KEY_LENGTH: CryptoError =
    CryptoError::Operation("AES keys have 128, 192 or 256 bits");
const IV_LENGTH: CryptoError =
    CryptoError::Operation("The initialization vector must have 16 bytes");

fn block(bytes: &[u8]) -> Result<[u8; BLOCK_BYTES]> {
    bytes.try_into().map_err(|_| IV_LENGTH)
}

/// CBC with PKCS#7 padding.
pub(crate) fn encrypt_cbc(key: &[u8], iv: &[u8], mut data: Vec<u8>) -> Result<Vec<u8>> {
    let iv = block(iv)?;
    let length = data.len();
    data.resize((length / BLOCK_BYTES + 1) * BLOCK_BYTES, 0);
    with_aes!(key, C => {
        let cipher = cbc::Encryptor::<C>::new_from_slices(key, &iv).map_err(|_| KEY_LENGTH)?;
        cipher
            .encrypt_padded::<Pkcs7>(&mut data, length)
            .map_err(|_| CryptoError::Operation("Encryption failed"))?;
        Ok(data)
    })
}

/// CBC with PKCS#7 padding; a wrong padding is an error.
pub(crate) fn decrypt_cbc(key: &[u8], iv: &[u8], mut data: Vec<u8>) -> Result<Vec<u8>> {
    let iv = block(iv)?;
    with_aes!(key, C => {
        let cipher = cbc::Decryptor::<C>::new_from_slices(key, &iv).map_err(|_| KEY_LENGTH)?;
        let length = cipher
            .decrypt_padded::<Pkcs7>(&mut data)
            .map_err(|_| CryptoError::Operation("Decryption failed"))?
            .len();
        data.truncate(length);
        Ok(data)
    })
}

/// CTR, both directions. The last `counter_bits` (1 to 128) of the initial block count, and wrap
/// around among themselves; more blocks than they can tell apart are an error.
pub(crate) fn apply_ctr(
    key: &[u8],
    counter: &[u8],
    counter_bits: u32,
    mut data: Vec<u8>,
) -> Result<Vec<u8>> {
    let initial = u128::from_be_bytes(
        counter
            .try_into()
            .map_err(|_| CryptoError::Operation("The counter must have 16 bytes"))?,
    );
    let mask = match counter_bits {
        1..=127 => (1_u128 << counter_bits) - 1,
        128 => u128::MAX,
        _ => {
            return Err(CryptoError::Operation(
                "The counter's length must be 1 to 128 bits",
            ));
        }
    };
    let blocks = data.len().div_ceil(BLOCK_BYTES) as u128;
    if blocks.saturating_sub(1) > mask {
        return Err(CryptoError::Operation(
            "The data is too long for the counter",
        ));
    }
    // Blocks until the counting bits are all zero again.
    let until_wrap = (mask - (initial & mask)).saturating_add(1);
    let split = usize::try_from(until_wrap.saturating_mul(BLOCK_BYTES as u128))
        .map_or(data.len(), |bytes| bytes.min(data.len()));
    let (head, tail) = data.split_at_mut(split);
    apply_ctr128(key, initial, head)?;
    apply_ctr128(key, initial & !mask, tail)?;
    Ok(data)
}

fn apply_ctr128(key: &[u8], counter: u128, data: &mut [u8]) -> Result<()> {
    with_aes!(key, C => {
        let mut cipher = ctr::Ctr128BE::<C>::new_from_slices(key, &counter.to_be_bytes())
            .map_err(|_| KEY_LENGTH)?;
        cipher
            .try_apply_keystream(data)
            .map_err(|_| CryptoError::Operation("The data is too long for the counter"))
    })
}

/// Key wrap (RFC 3394). The length must be a multiple of 8 and at least 16 bytes.
pub(crate) fn wrap(key: &[u8], data: &[u8]) -> Result<Vec<u8>> {
    if data.len() < 16 || !data.len().is_multiple_of(8) {
        return Err(CryptoError::Operation(
            "AES-KW wraps multiples of 8 bytes, and at least 16 bytes",
        ));
    }
    let mut wrapped = vec![0; data.len() + 8];
    with_aes!(key, C => {
        aes_kw::AesKw::<C>::new_from_slice(key)
            .map_err(|_| KEY_LENGTH)?
            .wrap_key(data, &mut wrapped)
            .map_err(|_| CryptoError::Operation("Key wrapping failed"))?;
        Ok(wrapped)
    })
}

/// The reverse of [`wrap`]; data that was not made by it with this key is an error.
pub(crate) fn unwrap(key: &[u8], wrapped: &[u8]) -> Result<Vec<u8>> {
    const FAILED: CryptoError = CryptoError::Operation("Key unwrapping failed");
    if wrapped.len() < 24 || !wrapped.len().is_multiple_of(8) {
        return Err(FAILED);
    }
    let mut data = vec![0; wrapped.len() - 8];
    with_aes!(key, C => {
        aes_kw::AesKw::<C>::new_from_slice(key)
            .map_err(|_| KEY_LENGTH)?
            .unwrap_key(wrapped, &mut data)
            .map_err(|_| FAILED)?;
        Ok(data)
    })
}

#[cfg(test)]
mod tests {
    use base16ct::lower::decode_vec as hex;

    use super::*;

    /// The plaintext of NIST SP 800-38A, appendix F.
    const PLAIN: &str = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51\
                         30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710";
    const KEY_128: &str = "2b7e151628aed2a6abf7158809cf4f3c";
    const KEY_256: &str = "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4";

    /// SP 800-38A, F.2.1 and F.2.5.
    #[test]
    fn cbc_of_sp_800_38a() {
        let iv = hex("000102030405060708090a0b0c0d0e0f").unwrap();
        for (key, cipher) in [
            (
                KEY_128,
                "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2\
                 73bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7",
            ),
            (
                KEY_256,
                "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d\
                 39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b",
            ),
        ] {
            let (key, cipher) = (hex(key).unwrap(), hex(cipher).unwrap());
            let made = encrypt_cbc(&key, &iv, hex(PLAIN).unwrap()).unwrap();
            // A whole block of padding follows.
            assert_eq!(made[..64], cipher);
            assert_eq!(made.len(), 80);
            assert_eq!(decrypt_cbc(&key, &iv, made).unwrap(), hex(PLAIN).unwrap());
        }
    }

    #[test]
    fn cbc_refuses_what_it_did_not_make() {
        let (key, iv) = ([1; 16], [2; 16]);
        let made = encrypt_cbc(&key, &iv, b"secret".to_vec()).unwrap();
        assert!(decrypt_cbc(&key, &iv, made[..15].to_vec()).is_err());
        assert!(decrypt_cbc(&key, &iv, Vec::new()).is_err());
        assert!(decrypt_cbc(&[3; 16], &iv, made.clone()).is_err());
        assert!(decrypt_cbc(&key, &iv[..15], made.clone()).is_err());
        assert!(decrypt_cbc(&key[..15], &iv, made).is_err());
        assert_eq!(encrypt_cbc(&key, &iv, Vec::new()).unwrap().len(), 16);
    }

    /// SP 800-38A, F.5.1 and F.5.5.
    #[test]
    fn ctr_of_sp_800_38a() {
        let counter = hex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff").unwrap();
        for (key, cipher) in [
            (
                KEY_128,
                "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff\
                 5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee",
            ),
            (
                KEY_256,
                "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5\
                 2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6",
            ),
        ] {
            let key = hex(key).unwrap();
            let made = apply_ctr(&key, &counter, 128, hex(PLAIN).unwrap()).unwrap();
            assert_eq!(made, hex(cipher).unwrap());
            assert_eq!(
                apply_ctr(&key, &counter, 64, made).unwrap(),
                hex(PLAIN).unwrap()
            );
        }
    }

    #[test]
    fn ctr_wraps_within_its_bits() {
        let key = [7; 16];
        let mut counter = [0xff; 16];
        counter[0] = 0;
        // Two counting bits, at their end: the second block is that of a counter ending in 00.
        let made = apply_ctr(&key, &counter, 2, vec![0; 64]).unwrap();
        let mut wrapped = counter;
        wrapped[15] = 0xfc;
        let rest = apply_ctr(&key, &wrapped, 128, vec![0; 48]).unwrap();
        assert_eq!(made[16..], rest);
        assert!(apply_ctr(&key, &counter, 2, vec![0; 65]).is_err());
        assert_eq!(apply_ctr(&key, &counter, 1, Vec::new()).unwrap(), b"");
        assert!(apply_ctr(&key, &counter, 0, Vec::new()).is_err());
        assert!(apply_ctr(&key, &counter, 129, Vec::new()).is_err());
        assert_eq!(
            apply_ctr(&key, &[0xff; 16], 128, vec![0; 40])
                .unwrap()
                .len(),
            40
        );
    }

    /// RFC 3394, 4.1 and 4.6.
    #[test]
    fn wrap_of_rfc_3394() {
        for (key, data, wrapped) in [
            (
                "000102030405060708090a0b0c0d0e0f",
                "00112233445566778899aabbccddeeff",
                "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5",
            ),
            (
                "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
                "00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f",
                "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43b\
                 fb988b9b7a02dd21",
            ),
        ] {
            let (key, data) = (hex(key).unwrap(), hex(data).unwrap());
            let made = wrap(&key, &data).unwrap();
            assert_eq!(made, hex(wrapped).unwrap());
            assert_eq!(unwrap(&key, &made).unwrap(), data);
        }
    }

    #[test]
    fn unwrap_refuses_what_was_changed() {
        let mut made = wrap(&[1; 16], &[2; 24]).unwrap();
        made[3] ^= 1;
        assert!(unwrap(&[1; 16], &made).is_err());
        assert!(unwrap(&[1; 16], &made[..16]).is_err());
        assert!(unwrap(&[1; 16], &[]).is_err());
        assert!(wrap(&[1; 16], &[2; 12]).is_err());
        assert!(wrap(&[1; 16], &[2; 8]).is_err());
        assert!(wrap(&[1; 17], &[2; 16]).is_err());
    }
}
