//! A snapshot that may be loaded.

use std::fmt;
use std::ops::Deref;

use bytes::Bytes;

use super::id::HeapId;

/// The bytes of a heap that this server has sealed for this tenant and build, or has just been given
/// to seal. Clones are cheap and share them.
#[derive(Clone, PartialEq, Eq)]
pub struct Snapshot {
    id: HeapId,
    bytes: Bytes,
}

impl Snapshot {
    pub(super) fn verified(id: HeapId, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self { id, bytes }
    }

    /// Its bytes.
    pub(super) fn bytes(&self) -> Bytes {
        self.bytes.clone()
    }

    /// Its name.
    pub fn id(&self) -> HeapId {
        self.id
    }
}

impl Deref for Snapshot {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Without its bytes, which are somebody's.
impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Snapshot({}, {} bytes)", self.id, self.bytes.len())
    }
}
