//! The memory in which decoders keep what they have decoded last, to copy from: up to 16 MiB each, for as
//! long as a body is not over. It is shared out, so that a tenant who begins many bodies and reads none to
//! its end leaves some to others.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::{FETCH_WINDOWS_MIB_MAX, FETCH_WINDOWS_PER_TENANT_MIB_MAX};

/// A MiB, as a power of two.
const MIB_LOG: u32 = 20;

/// What there is for all tenants.
#[derive(Debug)]
pub(super) struct AllWindows(Arc<Semaphore>);

/// What there is for one tenant. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Windows {
    of_tenant: Arc<Semaphore>,
    of_all: Arc<Semaphore>,
}

/// Room for one window, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Window {
    _of_tenant: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl AllWindows {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(FETCH_WINDOWS_MIB_MAX)))
    }

    /// The share of one more tenant.
    pub(super) fn of_tenant(&self) -> Windows {
        Windows {
            of_tenant: Arc::new(Semaphore::new(FETCH_WINDOWS_PER_TENANT_MIB_MAX)),
            of_all: Arc::clone(&self.0),
        }
    }
}

impl Windows {
    /// Waits for room for a window of 2^`log` bytes. `None` never comes: nobody closes these.
    pub(super) async fn room(&self, log: u32) -> Option<Window> {
        let mib = 1 << log.saturating_sub(MIB_LOG);
        let of_tenant = Arc::clone(&self.of_tenant).acquire_many_owned(mib).await;
        let of_all = Arc::clone(&self.of_all).acquire_many_owned(mib).await;
        Some(Window {
            _of_tenant: of_tenant.ok()?,
            _of_all: of_all.ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn one_tenant_leaves_windows_to_others_and_gives_its_own_back() {
        let all = AllWindows::new();
        let (first, second) = (all.of_tenant(), all.of_tenant());
        let room = |windows: &Windows, log| windows.room(log).now_or_never().flatten();
        let mut held = Vec::new();
        held.extend(std::iter::from_fn(|| room(&first, 24)));
        assert_eq!(held.len(), FETCH_WINDOWS_PER_TENANT_MIB_MAX / 16);
        assert!(room(&first, 10).is_none());
        assert!(room(&second, 24).is_some());
        held.pop();
        // As many small ones as it has MiB.
        let small: Vec<_> = std::iter::from_fn(|| room(&first, 10)).collect();
        assert_eq!(small.len(), 16);
    }
}
