//! Places that keep sealed heaps. They know names, sizes and times, and nothing of what is inside.

pub(super) mod cached;
pub(super) mod directory;
mod files;
mod name;
pub(super) mod s3;
mod users;

use std::fmt::Debug;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::mpsc;

pub(super) use name::BlobName;
pub use name::TenantFolder;
pub use s3::S3SettingsError;
pub use users::HeapUser;

/// A place that keeps blobs. What one process has put, every other sees.
#[async_trait]
pub(super) trait BlobStore: Debug + Send + Sync {
    /// Keeps a blob. It is durable when this returns, and what lay under that name is replaced; an
    /// equal one counts as put now.
    async fn put(&self, name: BlobName, blob: Bytes) -> Result<(), BlobError>;

    /// The blob of that name. Nothing vouches for its bytes.
    async fn get(&self, name: BlobName) -> Result<Option<Bytes>, BlobError>;

    /// Hears that what [`BlobStore::get`] gave was damaged. `true` when another get may give something
    /// better.
    async fn doubt(&self, _name: BlobName) -> bool {
        false
    }

    /// What a blob takes; `None` when it is not there. Where there are copies nearer by, this is about
    /// the place itself.
    async fn size(&self, name: BlobName) -> Result<Option<u64>, BlobError> {
        Ok(self.get(name).await?.map(|blob| blob.len() as u64))
    }

    /// Removes a blob, unless it has been put again since `seen`; `true` when it is not there any more.
    async fn delete(&self, name: BlobName, seen: SystemTime) -> Result<bool, BlobError>;

    /// Names all blobs, in no order, until `found` is closed.
    async fn list(&self, found: mpsc::Sender<ListedBlob>) -> Result<(), BlobError>;

    /// Notes that a database uses this place, durably, where the place can note such things. It counts
    /// as seen now.
    async fn enter(&self, _user: HeapUser) -> Result<(), BlobError> {
        Ok(())
    }

    /// The databases that use this place; `None` where it cannot say.
    async fn users(&self) -> Result<Option<Vec<HeapUser>>, BlobError> {
        Ok(None)
    }

    /// Forgets that the database of this id uses this place.
    async fn dismiss(&self, _id: String) -> Result<(), BlobError> {
        Ok(())
    }

    /// Removes what puts that were interrupted have left, and shows that the place is in use.
    async fn sweep(&self) -> Result<(), BlobError> {
        Ok(())
    }
}

/// A blob in a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ListedBlob {
    pub(super) name: BlobName,
    pub(super) bytes: u64,
    /// When it was put last.
    pub(super) put_at: SystemTime,
}

/// Why a place did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BlobError {
    /// The disk or the network.
    #[error("{0}")]
    Unavailable(String),
    /// Something larger than any sealed heap lies under that name.
    #[error("it is larger than any sealed heap")]
    Oversized,
}

/// Runs what blocks on a thread for it.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
) -> Result<T, BlobError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| {
        Err(BlobError::Unavailable(
            "the server is shutting down".to_owned(),
        ))
    })
}
