//! RSA signatures (PKCS#1 v1.5 and PSS) and encryption (OAEP), RFC 8017.
//!
//! Private operations are blinded. RSA with PKCS#1 v1.5 encryption is not part of Web Cryptography.

use ::rsa::pkcs1::der::{Decode, Encode};
use ::rsa::pkcs1::{
    DecodeRsaPrivateKey, DecodeRsaPublicKey, EncodeRsaPrivateKey, EncodeRsaPublicKey,
    RsaPrivateKeyRef, RsaPublicKeyRef, UintRef,
};
use ::rsa::{BoxedUint, Oaep, Pkcs1v15Sign, PrivateKey, Pss, PublicKey};

use super::hash::{Hash, with_hash};
use super::random::SystemRandom;
use super::{CryptoError, Result};

/// The shortest modulus that a key is made with, in bits.
pub(crate) const GENERATED_BITS_MIN: u32 = 2048;
/// The longest modulus that a key is made with: longer ones take minutes.
pub(crate) const GENERATED_BITS_MAX: u32 = 4096;
/// The longest modulus of a key that is brought in, in bits. The shortest has 1024.
pub(crate) const IMPORTED_BITS_MAX: usize = 8192;

const NOT_PRIVATE: CryptoError = CryptoError::Data("The RSA private key is not valid");
const NOT_PUBLIC: CryptoError =
    CryptoError::Data("The RSA public key is not valid, or not of 1024 to 8192 bits");

/// A signature scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Padding {
    /// RSASSA-PKCS1-v1_5.
    Pkcs1v15,
    /// RSA-PSS with a salt of so many bytes.
    Pss {
        /// The salt's length.
        salt_bytes: usize,
    },
}

/// The numbers of a key, big-endian, without leading zeros.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Numbers {
    /// The length of the modulus, in bits.
    pub(crate) modulus_bits: usize,
    /// `[n, e]`, or `[n, e, d, p, q, dp, dq, qi]`.
    pub(crate) values: Vec<Vec<u8>>,
}

fn private_key(der: &[u8]) -> Result<PrivateKey> {
    let parsed = RsaPrivateKeyRef::from_der(der).map_err(|_| NOT_PRIVATE)?;
    if parsed.modulus.as_bytes().len() * 8 > IMPORTED_BITS_MAX {
        return Err(NOT_PRIVATE);
    }
    PrivateKey::from_pkcs1_der(der).map_err(|_| NOT_PRIVATE)
}

fn public_key(der: &[u8]) -> Result<PublicKey> {
    PublicKey::from_pkcs1_der(der).map_err(|_| NOT_PUBLIC)
}

fn encode_private(key: &PrivateKey) -> Result<Vec<u8>> {
    Ok(key
        .to_pkcs1_der()
        .map_err(|_| NOT_PRIVATE)?
        .as_bytes()
        .to_vec())
}

fn encode_public(key: &PublicKey) -> Result<Vec<u8>> {
    Ok(key
        .to_pkcs1_der()
        .map_err(|_| NOT_PUBLIC)?
        .as_bytes()
        .to_vec())
}

/// A new private key with the public exponent 65537.
pub(crate) fn generate(modulus_bits: u32) -> Result<Vec<u8>> {
    if !(GENERATED_BITS_MIN..=GENERATED_BITS_MAX).contains(&modulus_bits)
        || !modulus_bits.is_multiple_of(8)
    {
        return Err(CryptoError::Operation(
            "RSA keys are made with 2048 to 4096 bits, a multiple of 8",
        ));
    }
    let key = PrivateKey::new(&mut SystemRandom, modulus_bits as usize)
        .map_err(|_| CryptoError::Operation("RSA key generation failed"))?;
    encode_private(&key)
}

/// A private key, checked and in its one form.
pub(crate) fn normalize_private(der: &[u8]) -> Result<Vec<u8>> {
    encode_private(&private_key(der)?)
}

/// A public key, checked and in its one form.
pub(crate) fn normalize_public(der: &[u8]) -> Result<Vec<u8>> {
    encode_public(&public_key(der)?)
}

/// The public key of a private key.
pub(crate) fn public(private: &[u8]) -> Result<Vec<u8>> {
    let parsed = RsaPrivateKeyRef::from_der(private).map_err(|_| NOT_PRIVATE)?;
    RsaPublicKeyRef {
        modulus: parsed.modulus,
        public_exponent: parsed.public_exponent,
    }
    .to_der()
    .map_err(|_| NOT_PRIVATE)
}

/// A public key of modulus and exponent.
pub(crate) fn public_from_numbers(n: &[u8], e: &[u8]) -> Result<Vec<u8>> {
    let der = RsaPublicKeyRef {
        modulus: uint(n)?,
        public_exponent: uint(e)?,
    }
    .to_der()
    .map_err(|_| NOT_PUBLIC)?;
    normalize_public(&der)
}

/// A private key of `n, e, d, p, q`; what else belongs to it is computed.
pub(crate) fn private_from_numbers(numbers: [&[u8]; 5]) -> Result<Vec<u8>> {
    let [n, e, d, p, q] = numbers.map(trim);
    if n.len() * 8 > IMPORTED_BITS_MAX || [e, d, p, q].iter().any(|part| part.len() > n.len()) {
        return Err(NOT_PRIVATE);
    }
    let bits = u32::try_from(n.len() * 8).map_err(|_| NOT_PRIVATE)?;
    let number = |part: &[u8], bits| BoxedUint::from_be_slice(part, bits).map_err(|_| NOT_PRIVATE);
    let e_bits = u32::try_from(e.len() * 8).map_err(|_| NOT_PRIVATE)?;
    let key = PrivateKey::from_components(
        number(n, bits)?,
        number(e, e_bits)?,
        number(d, bits)?,
        vec![number(p, bits)?, number(q, bits)?],
    )
    .map_err(|_| NOT_PRIVATE)?;
    encode_private(&key)
}

fn trim(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

fn uint(number: &[u8]) -> Result<UintRef<'_>> {
    UintRef::new(number).map_err(|_| NOT_PUBLIC)
}

fn numbers(values: &[UintRef<'_>]) -> Numbers {
    let values: Vec<Vec<u8>> = values
        .iter()
        .map(|value| value.as_bytes().to_vec())
        .collect();
    let modulus = values.first().map(Vec::as_slice).unwrap_or_default();
    let first_bits = modulus
        .first()
        .map_or(0, |byte| 8 - byte.leading_zeros() as usize);
    Numbers {
        modulus_bits: modulus.len().saturating_sub(1) * 8 + first_bits,
        values,
    }
}

/// The numbers of a public key.
pub(crate) fn public_numbers(der: &[u8]) -> Result<Numbers> {
    let key = RsaPublicKeyRef::from_der(der).map_err(|_| NOT_PUBLIC)?;
    Ok(numbers(&[key.modulus, key.public_exponent]))
}

/// The numbers of a private key.
pub(crate) fn private_numbers(der: &[u8]) -> Result<Numbers> {
    let key = RsaPrivateKeyRef::from_der(der).map_err(|_| NOT_PRIVATE)?;
    Ok(numbers(&[
        key.modulus,
        key.public_exponent,
        key.private_exponent,
        key.prime1,
        key.prime2,
        key.exponent1,
        key.exponent2,
        key.coefficient,
    ]))
}

/// A signature as long as the modulus.
pub(crate) fn sign(padding: Padding, hash: Hash, private: &[u8], data: &[u8]) -> Result<Vec<u8>> {
    let key = private_key(private)?;
    let digest = hash.digest(data);
    let signed = with_hash!(hash, D => match padding {
        Padding::Pkcs1v15 => key.sign_with_rng(&mut SystemRandom, Pkcs1v15Sign::new::<D>(), &digest),
        Padding::Pss { salt_bytes } => {
            check_salt(salt_bytes)?;
            key.sign_with_rng(&mut SystemRandom, Pss::<D>::new_with_salt(salt_bytes), &digest)
        }
    });
    signed.map_err(|_| CryptoError::Operation("Signing failed: the key is too short"))
}

fn check_salt(salt_bytes: usize) -> Result<()> {
    if salt_bytes > IMPORTED_BITS_MAX / 8 {
        return Err(CryptoError::Operation(
            "The salt is longer than any signature",
        ));
    }
    Ok(())
}

/// Whether a signature is right.
pub(crate) fn verify(
    padding: Padding,
    hash: Hash,
    public: &[u8],
    data: &[u8],
    signature: &[u8],
) -> Result<bool> {
    let key = public_key(public)?;
    let digest = hash.digest(data);
    let verified = with_hash!(hash, D => match padding {
        Padding::Pkcs1v15 => key.verify(Pkcs1v15Sign::new::<D>(), &digest, signature),
        Padding::Pss { salt_bytes } => {
            if check_salt(salt_bytes).is_err() {
                return Ok(false);
            }
            key.verify(Pss::<D>::new_with_salt(salt_bytes), &digest, signature)
        }
    });
    Ok(verified.is_ok())
}

/// OAEP; the data must be shorter than the modulus by two hashes and two bytes.
pub(crate) fn encrypt(hash: Hash, public: &[u8], label: &[u8], data: &[u8]) -> Result<Vec<u8>> {
    let key = public_key(public)?;
    with_hash!(hash, D => key.encrypt(&mut SystemRandom, Oaep::<D>::new_with_label(label), data))
        .map_err(|_| CryptoError::Operation("Encryption failed: the data is too long for the key"))
}

/// OAEP.
pub(crate) fn decrypt(hash: Hash, private: &[u8], label: &[u8], data: &[u8]) -> Result<Vec<u8>> {
    let key = private_key(private)?;
    let padding = label;
    with_hash!(hash, D => {
        key.decrypt_blinded(&mut SystemRandom, Oaep::<D>::new_with_label(padding), data)
    })
    .map_err(|_| CryptoError::Operation("Decryption failed"))
}

#[cfg(test)]
mod tests;
