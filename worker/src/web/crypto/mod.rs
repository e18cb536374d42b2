//! The algorithms behind `crypto.subtle`, on bytes: no V8, no state, no key objects.
//!
//! A key is bytes in one fixed form per family, so that the script's side can keep it in an ordinary
//! object, and a stored heap can hold it:
//!
//! | Family | Private or secret | Public |
//! |---|---|---|
//! | HMAC, AES, PBKDF2, HKDF | the key | – |
//! | P-256, P-384, P-521 | the scalar, as long as the field | the uncompressed SEC1 point |
//! | Ed25519, X25519 | the 32 byte seed or scalar | the 32 byte point |
//! | RSA | PKCS#1 `RSAPrivateKey` | PKCS#1 `RSAPublicKey` |
//!
//! Every function takes any bytes and returns an error for what it cannot use. Randomness comes from
//! the kernel at each call; nothing random is kept, because workers are forked from a warm process.

pub(crate) mod aes;
pub(crate) mod containers;
pub(crate) mod curve25519;
pub(crate) mod ec;
pub(crate) mod gcm;
pub(crate) mod hash;
pub(crate) mod kdf;
pub(crate) mod random;
pub(crate) mod rsa;

/// Why an operation was refused: the kind becomes the name of a `DOMException`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CryptoError {
    /// `OperationError`: the operation failed for the given inputs.
    #[error("{0}")]
    Operation(&'static str),
    /// `DataError`: what was given does not describe a key.
    #[error("{0}")]
    Data(&'static str),
    /// `NotSupportedError`: no such algorithm, or none with such parameters.
    #[error("{0}")]
    NotSupported(&'static str),
}

impl CryptoError {
    /// The name of the `DOMException`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Operation(_) => "OperationError",
            Self::Data(_) => "DataError",
            Self::NotSupported(_) => "NotSupportedError",
        }
    }
}

/// What the functions here return.
pub(crate) type Result<T> = std::result::Result<T, CryptoError>;
