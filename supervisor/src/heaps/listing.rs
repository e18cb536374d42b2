//! What is there, for those who tidy up.

use std::time::SystemTime;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::blobs::{BlobError, ListedBlob, TenantFolder};
use super::error::{Doing, HeapError};
use super::id::HeapId;
use super::{stopping, unavailable};

/// A heap in a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListedHeap {
    /// Its name.
    pub id: HeapId,
    /// Whose it is: [`TenantFolder::of`] a tenant.
    pub folder: TenantFolder,
    /// What it takes where it is kept.
    pub stored_bytes: u64,
    /// When it was put last.
    pub put_at: SystemTime,
}

/// A listing of heaps, which is read while it is made. It can be dropped before its end.
#[derive(Debug)]
pub struct Listing {
    listed: mpsc::Receiver<ListedBlob>,
    lister: Option<JoinHandle<Result<(), BlobError>>>,
}

impl Listing {
    pub(super) fn new(
        listed: mpsc::Receiver<ListedBlob>,
        lister: JoinHandle<Result<(), BlobError>>,
    ) -> Self {
        Self {
            listed,
            lister: Some(lister),
        }
    }

    /// The next one; `None` when that was all.
    ///
    /// # Errors
    /// [`HeapError::Unavailable`]: there are more, and they cannot be listed.
    pub async fn next(&mut self) -> Result<Option<ListedHeap>, HeapError> {
        if let Some(ListedBlob {
            name,
            bytes,
            put_at,
        }) = self.listed.recv().await
        {
            return Ok(Some(ListedHeap {
                id: name.id,
                folder: name.folder,
                stored_bytes: bytes,
                put_at,
            }));
        }
        if let Some(lister) = self.lister.take() {
            let ended = lister.await.map_err(|_| stopping(Doing::Listing))?;
            ended.map_err(|error| unavailable(Doing::Listing, &error))?;
        }
        Ok(None)
    }
}
