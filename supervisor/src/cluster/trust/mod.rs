//! Who is a node.
//!
//! * [`head`]: what a request says of its sender, in its headers.
//! * [`secret`]: that it is true, shown with a secret that all nodes have.
//! * [`sessions`]: that it is said for the first time; pure.
//! * [`tls`]: that it is true, shown by certificates.
//! * [`door`]: who is let in.

pub(super) mod door;
pub(super) mod head;
pub(super) mod secret;
pub(super) mod sessions;
pub(super) mod tls;

use self::secret::Secret;
use self::tls::TlsStore;
pub use self::tls::TrustError;
use super::name::NodeName;
use super::options::Trust;

/// With what a node shows who it is, and sees who others are.
#[derive(Debug)]
pub(super) enum Credentials {
    /// Everybody is believed.
    Nobody,
    /// Whoever has this.
    Secret(Secret),
    /// Whoever has a certificate.
    Tls(TlsStore),
}

impl Credentials {
    /// Reads the files.
    pub(super) fn open(trust: &Trust, name: &NodeName) -> Result<Self, TrustError> {
        Ok(match trust {
            Trust::Nobody => Self::Nobody,
            Trust::Secret(path) => Self::Secret(Secret::load(path)?),
            Trust::Tls { own, authorities } => {
                Self::Tls(TlsStore::open(own.clone(), authorities.clone(), name)?)
            }
        })
    }
}
