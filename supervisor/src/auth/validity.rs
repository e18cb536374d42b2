//! How long it is believed who calls.

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Until when a caller is who it is.
#[derive(Debug, Clone, Default)]
pub(super) struct Validity {
    /// `None`, and it does not expire by itself.
    pub(super) expires: Option<Instant>,
    /// Set when the operator takes the token away.
    pub(super) revoked: Revocation,
}

/// Whether a token was taken away. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Revocation(CancellationToken);

impl Revocation {
    /// Takes the token away: streams that it has opened end.
    pub(super) fn revoke(&self) {
        self.0.cancel();
    }

    fn revoked(self) -> WaitForCancellationFutureOwned {
        self.0.cancelled_owned()
    }
}

impl Validity {
    /// Waits until it is over, if it ever is.
    pub(super) async fn over(self) {
        let expires = self.expires;
        let expiry = async {
            match expires {
                Some(expires) => sleep_until(expires).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = expiry => {}
            () = self.revoked.revoked() => {}
        }
    }
}
