//! AES-GCM (NIST SP 800-38D), for initialization vectors and tags of every length that the standard
//! allows: the usual implementations fix both when they are compiled.

use ::aes::cipher::{BlockCipherEncrypt, BlockSizeUser, InnerIvInit, KeyInit, StreamCipher};
use ctr::cipher::StreamCipherCoreWrapper;
use ctr::cipher::consts::U16;
use ctr::{CtrCore, flavors};
use ghash::GHash;
use ghash::universal_hash::UniversalHash;
use subtle::ConstantTimeEq;

use super::aes::{BLOCK_BYTES, KEY_LENGTH, with_aes};
use super::{CryptoError, Result};

/// Lengths of a tag, in bytes.
pub(crate) const TAG_BYTES: [usize; 7] = [4, 8, 12, 13, 14, 15, 16];

const FAILED: CryptoError = CryptoError::Operation("Decryption failed");
const TOO_LONG: CryptoError = CryptoError::Operation("The data is too long for AES-GCM");

/// Ciphertext and tag.
pub(crate) fn encrypt(
    key: &[u8],
    iv: &[u8],
    additional: &[u8],
    tag_bytes: usize,
    mut data: Vec<u8>,
) -> Result<Vec<u8>> {
    check(iv, tag_bytes)?;
    with_aes!(key, C => {
        let gcm = Gcm::new(C::new_from_slice(key).map_err(|_| KEY_LENGTH)?);
        let first = gcm.first_counter(iv);
        gcm.apply(first, &mut data)?;
        let tag = gcm.tag(first, additional, &data);
        data.extend_from_slice(&tag[..tag_bytes]);
        Ok(data)
    })
}

/// The plaintext, when the tag at the end is right.
pub(crate) fn decrypt(
    key: &[u8],
    iv: &[u8],
    additional: &[u8],
    tag_bytes: usize,
    mut data: Vec<u8>,
) -> Result<Vec<u8>> {
    check(iv, tag_bytes)?;
    let length = data.len().checked_sub(tag_bytes).ok_or(FAILED)?;
    let given = data.split_off(length);
    with_aes!(key, C => {
        let gcm = Gcm::new(C::new_from_slice(key).map_err(|_| KEY_LENGTH)?);
        let first = gcm.first_counter(iv);
        let tag = gcm.tag(first, additional, &data);
        if !bool::from(tag[..tag_bytes].ct_eq(&given)) {
            return Err(FAILED);
        }
        gcm.apply(first, &mut data)?;
        Ok(data)
    })
}

fn check(iv: &[u8], tag_bytes: usize) -> Result<()> {
    if iv.is_empty() {
        return Err(CryptoError::Operation(
            "The initialization vector must not be empty",
        ));
    }
    if !TAG_BYTES.contains(&tag_bytes) {
        return Err(CryptoError::Operation(
            "The tag must have 32, 64, 96, 104, 112, 120 or 128 bits",
        ));
    }
    Ok(())
}

type Block = [u8; BLOCK_BYTES];

struct Gcm<C> {
    cipher: C,
    hash: GHash,
}

impl<C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16> + Clone> Gcm<C> {
    fn new(cipher: C) -> Self {
        let mut key = Block::default().into();
        cipher.encrypt_block(&mut key);
        Self {
            cipher,
            hash: GHash::new(&key),
        }
    }

    /// The pre-counter block: the vector itself when it has the usual 12 bytes, else its hash.
    fn first_counter(&self, iv: &[u8]) -> Block {
        let mut block = Block::default();
        if iv.len() == 12 {
            block[..12].copy_from_slice(iv);
            block[15] = 1;
            return block;
        }
        self.hash_of(&[iv], [0, bits(iv)])
    }

    fn hash_of(&self, parts: &[&[u8]], lengths: [u64; 2]) -> Block {
        let mut hash = self.hash.clone();
        for part in parts {
            hash.update_padded(part);
        }
        let mut last = Block::default();
        last[..8].copy_from_slice(&lengths[0].to_be_bytes());
        last[8..].copy_from_slice(&lengths[1].to_be_bytes());
        hash.update(&[last.into()]);
        hash.finalize().into()
    }

    fn tag(&self, first: Block, additional: &[u8], ciphertext: &[u8]) -> Block {
        let mut tag = self.hash_of(
            &[additional, ciphertext],
            [bits(additional), bits(ciphertext)],
        );
        let mut mask = first.into();
        self.cipher.encrypt_block(&mut mask);
        for (byte, mask) in tag.iter_mut().zip(mask) {
            *byte ^= mask;
        }
        tag
    }

    /// Encrypts or decrypts, counting in the last 32 bits from the block after the first.
    fn apply(&self, first: Block, data: &mut [u8]) -> Result<()> {
        let core =
            CtrCore::<C, flavors::Ctr32BE>::inner_iv_init(self.cipher.clone(), &first.into());
        let mut stream = StreamCipherCoreWrapper::from_core(core);
        stream
            .try_apply_keystream(&mut Block::default())
            .map_err(|_| TOO_LONG)?;
        stream.try_apply_keystream(data).map_err(|_| TOO_LONG)
    }
}

fn bits(bytes: &[u8]) -> u64 {
    (bytes.len() as u64).saturating_mul(8)
}

#[cfg(test)]
mod tests {
    use base16ct::lower::decode_vec as hex;

    use super::*;

    /// (key, iv, additional data, plaintext, ciphertext, tag): the GCM specification's test cases 2,
    /// 4, 5 (8 byte vector), 6 (60 byte vector) and 16.
    const CASES: [[&str; 6]; 5] = [
        [
            "00000000000000000000000000000000",
            "000000000000000000000000",
            "",
            "00000000000000000000000000000000",
            "0388dace60b6a392f328c2b971b2fe78",
            "ab6e47d42cec13bdf53a67b21257bddf",
        ],
        [
            KEY,
            "cafebabefacedbaddecaf888",
            ADDITIONAL,
            PLAIN,
            "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e\
             21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091",
            "5bc94fbc3221a5db94fae95ae7121a47",
        ],
        [
            KEY,
            "cafebabefacedbad",
            ADDITIONAL,
            PLAIN,
            "61353b4c2806934a777ff51fa22a4755699b2a714fcdc6f83766e5f97b6c7423\
             73806900e49f24b22b097544d4896b424989b5e1ebac0f07c23f4598",
            "3612d2e79e3b0785561be14aaca2fccb",
        ],
        [
            KEY,
            "9313225df88406e555909c5aff5269aa6a7a9538534f7da1e4c303d2a318a728\
             c3c0c95156809539fcf0e2429a6b525416aedbf5a0de6a57a637b39b",
            ADDITIONAL,
            PLAIN,
            "8ce24998625615b603a033aca13fb894be9112a5c3a211a8ba262a3cca7e2ca7\
             01e4a9a4fba43c90ccdcb281d48c7c6fd62875d2aca417034c34aee5",
            "619cc5aefffe0bfa462af43c1699d050",
        ],
        [
            "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
            "cafebabefacedbaddecaf888",
            ADDITIONAL,
            PLAIN,
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa\
             8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
            "76fc6ece0f4e1768cddf8853bb2d551b",
        ],
    ];
    const KEY: &str = "feffe9928665731c6d6a8f9467308308";
    const ADDITIONAL: &str = "feedfacedeadbeeffeedfacedeadbeefabaddad2";
    const PLAIN: &str = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72\
                         1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39";

    #[test]
    fn cases_of_the_gcm_specification() {
        for case in CASES {
            let [key, iv, additional, plain, cipher, tag] = case.map(|text| hex(text).unwrap());
            for tag_bytes in TAG_BYTES {
                let made = encrypt(&key, &iv, &additional, tag_bytes, plain.clone()).unwrap();
                assert_eq!(made, [&cipher[..], &tag[..tag_bytes]].concat());
                assert_eq!(
                    decrypt(&key, &iv, &additional, tag_bytes, made).unwrap(),
                    plain
                );
            }
        }
    }

    #[test]
    fn changed_data_is_refused() {
        let (key, iv) = ([1; 32], [2; 12]);
        let made = encrypt(&key, &iv, b"head", 16, b"secret".to_vec()).unwrap();
        for index in 0..made.len() {
            let mut changed = made.clone();
            changed[index] ^= 1;
            assert_eq!(decrypt(&key, &iv, b"head", 16, changed), Err(FAILED));
        }
        assert_eq!(decrypt(&key, &iv, b"", 16, made.clone()), Err(FAILED));
        assert_eq!(decrypt(&key, &iv, b"head", 12, made.clone()), Err(FAILED));
        assert_eq!(
            decrypt(&key, &iv, b"head", 16, made[..15].to_vec()),
            Err(FAILED)
        );
        assert!(encrypt(&key, &[], b"", 16, Vec::new()).is_err());
        assert!(encrypt(&key, &iv, b"", 10, Vec::new()).is_err());
        assert!(encrypt(&key[..20], &iv, b"", 16, Vec::new()).is_err());
    }
}
