//! How signatures are checked: the library of tokens leaves that open, and *ring* is here for TLS anyway.
//! Nothing is signed here.

use jsonwebtoken::crypto::{CryptoProvider, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::signature::{self, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents,
    UnparsedPublicKey, VerificationAlgorithm,
};

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| Err(unsupported()),
    verifier_factory: |algorithm, key| Ok(Box::new(RingVerifier::new(*algorithm, key)?)),
    key_utils: KeyUtils {
        rsa_pub_components_from_private_key: |_| Err(unsupported()),
        rsa_pub_components_from_public_key: |_| Err(unsupported()),
        ec_pub_components_from_private_key: |_, _| Err(unsupported()),
        ed_pub_components_from_private_key: |_, _| Err(unsupported()),
        compute_digest: |_, _| Err(unsupported()),
    },
};

/// Has the library check signatures so, in the whole process.
pub(super) fn install() {
    // It is there already where somebody was faster, who had nothing else to install.
    let _ = PROVIDER.install_default();
}

fn unsupported() -> Error {
    ErrorKind::UnsupportedAlgorithm.into()
}

/// Checks signatures of one algorithm with one key.
struct RingVerifier {
    algorithm: Algorithm,
    key: Key,
}

enum Key {
    Rsa {
        parameters: &'static RsaParameters,
        key: RsaPublicKeyComponents<Vec<u8>>,
    },
    /// A point of a curve.
    Point(UnparsedPublicKey<Vec<u8>>),
}

impl RingVerifier {
    fn new(algorithm: Algorithm, key: &DecodingKey) -> Result<Self, Error> {
        let parameters = match algorithm {
            Algorithm::RS256 => &RSA_PKCS1_2048_8192_SHA256,
            Algorithm::RS384 => &RSA_PKCS1_2048_8192_SHA384,
            Algorithm::RS512 => &RSA_PKCS1_2048_8192_SHA512,
            Algorithm::PS256 => &RSA_PSS_2048_8192_SHA256,
            Algorithm::PS384 => &RSA_PSS_2048_8192_SHA384,
            Algorithm::PS512 => &RSA_PSS_2048_8192_SHA512,
            Algorithm::ES256 => return Self::point(algorithm, &ECDSA_P256_SHA256_FIXED, key),
            Algorithm::ES384 => return Self::point(algorithm, &ECDSA_P384_SHA384_FIXED, key),
            Algorithm::EdDSA => return Self::point(algorithm, &ED25519, key),
            // A secret is shared, and whoever checks could sign.
            _ => return Err(unsupported()),
        };
        match (key.family() == algorithm.family(), key.kind()) {
            (true, DecodingKeyKind::RsaModulusExponent { n, e }) => Ok(Self {
                algorithm,
                key: Key::Rsa {
                    parameters,
                    key: RsaPublicKeyComponents {
                        n: n.clone(),
                        e: e.clone(),
                    },
                },
            }),
            _ => Err(ErrorKind::InvalidKeyFormat.into()),
        }
    }

    fn point(
        algorithm: Algorithm,
        curve: &'static dyn VerificationAlgorithm,
        key: &DecodingKey,
    ) -> Result<Self, Error> {
        if key.family() != algorithm.family() {
            return Err(ErrorKind::InvalidKeyFormat.into());
        }
        let point = key.try_get_as_bytes()?.to_vec();
        Ok(Self {
            algorithm,
            key: Key::Point(UnparsedPublicKey::new(curve, point)),
        })
    }
}

impl Verifier<Vec<u8>> for RingVerifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        let verified = match &self.key {
            Key::Rsa { parameters, key } => key.verify(parameters, message, signature),
            Key::Point(key) => key.verify(message, signature),
        };
        verified.map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for RingVerifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}
