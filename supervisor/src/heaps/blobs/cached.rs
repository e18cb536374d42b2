//! Another place's blobs, with those that were used last in a directory at hand.
//!
//! A put goes to the other place first, and then into the directory. Files in it may be lost or damaged
//! at any time: they are not synced, and nothing vouches for them but the envelope, whose reader says so
//! when it finds one damaged. Its files outlive the server; the time of each says when it was used last.
//!
//! Several servers may share a directory. Each knows what it has added itself, and looks at what there
//! really is whenever that is a sixteenth of what may be there, or the place gets short.

use std::io;
use std::path::Path;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{Mutex, mpsc};

use super::directory::Directory;
use super::files::Unsynced;
use super::name::BlobName;
use super::{BlobError, BlobStore, HeapUser, ListedBlob};
use crate::limits::HEAP_LISTING_LENGTH;

/// The part of what may be there that is added before it is looked at again.
const LOOK_PART: u64 = 16;
/// The part that is freed beyond need, so that not each put has to look.
const SPARE_PART: u64 = 8;

/// A place, and a directory at hand.
#[derive(Debug)]
pub(in crate::heaps) struct Cached<S> {
    origin: S,
    shelf: Directory<Unsynced>,
    bytes_max: u64,
    fill: Mutex<Fill>,
}

/// What is in the directory, as far as this server knows.
#[derive(Debug)]
struct Fill {
    bytes: u64,
    added: u64,
    is_known: bool,
}

impl<S: BlobStore> Cached<S> {
    /// Opens the directory, which is made when it is missing.
    pub(in crate::heaps) fn open(origin: S, path: &Path, bytes_max: u64) -> io::Result<Self> {
        Ok(Self {
            origin,
            shelf: Directory::open_with(path, Unsynced)?,
            bytes_max,
            fill: Mutex::new(Fill {
                bytes: 0,
                added: 0,
                is_known: false,
            }),
        })
    }

    /// Keeps a blob at hand, where there is room. It is no matter to anybody else when that fails.
    async fn shelve(&self, name: BlobName, blob: Bytes) {
        let shelved = async {
            if self.make_room(blob.len() as u64).await? {
                self.shelf.put(name, blob).await?;
            }
            Ok::<_, BlobError>(())
        };
        if let Err(error) = shelved.await {
            tracing::warn!(%error, "a heap cannot be kept in the cache");
        }
    }

    /// Takes note of so many bytes more, and removes what was not used longest; `false` when they are
    /// more than there may be.
    async fn make_room(&self, bytes: u64) -> Result<bool, BlobError> {
        if bytes > self.bytes_max {
            return Ok(false);
        }
        let mut fill = self.fill.lock().await;
        let is_short = fill.bytes + bytes > self.bytes_max;
        if !fill.is_known || is_short || fill.added > self.bytes_max / LOOK_PART {
            fill.bytes = self.tidy(bytes).await?;
            fill.added = 0;
            fill.is_known = true;
        }
        fill.bytes += bytes;
        fill.added += bytes;
        Ok(true)
    }

    /// Removes what was not used longest until there is room for so many bytes; gives what is left.
    async fn tidy(&self, bytes: u64) -> Result<u64, BlobError> {
        let (found, mut listed) = mpsc::channel(HEAP_LISTING_LENGTH);
        let mut blobs = Vec::new();
        let collect = async {
            while let Some(blob) = listed.recv().await {
                blobs.push(blob);
            }
        };
        tokio::join!(self.shelf.list(found), collect).0?;
        let mut left: u64 = blobs.iter().map(|blob| blob.bytes).sum();
        if left + bytes <= self.bytes_max {
            return Ok(left);
        }
        let wanted = (self.bytes_max - bytes).saturating_sub(self.bytes_max / SPARE_PART);
        blobs.sort_unstable_by_key(|blob| blob.put_at);
        for blob in blobs {
            if left <= wanted {
                break;
            }
            if self.shelf.delete(blob.name, blob.put_at).await? {
                left -= blob.bytes;
            }
        }
        Ok(left)
    }

    async fn take_off(&self, name: BlobName) {
        if let Err(error) = self.shelf.delete(name, SystemTime::now()).await {
            tracing::warn!(%error, "a heap cannot be removed from the cache");
        }
    }
}

#[async_trait]
impl<S: BlobStore> BlobStore for Cached<S> {
    async fn put(&self, name: BlobName, blob: Bytes) -> Result<(), BlobError> {
        self.origin.put(name, blob.clone()).await?;
        self.shelve(name, blob).await;
        Ok(())
    }

    async fn get(&self, name: BlobName) -> Result<Option<Bytes>, BlobError> {
        match self.shelf.get_to_use(name).await {
            Ok(Some(blob)) => return Ok(Some(blob)),
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "a heap in the cache cannot be read"),
        }
        let found = self.origin.get(name).await?;
        if let Some(blob) = &found {
            self.shelve(name, blob.clone()).await;
        }
        Ok(found)
    }

    async fn doubt(&self, name: BlobName) -> bool {
        self.take_off(name).await;
        true
    }

    async fn size(&self, name: BlobName) -> Result<Option<u64>, BlobError> {
        self.origin.size(name).await
    }

    async fn enter(&self, user: HeapUser) -> Result<(), BlobError> {
        self.origin.enter(user).await
    }

    async fn users(&self) -> Result<Option<Vec<HeapUser>>, BlobError> {
        self.origin.users().await
    }

    async fn dismiss(&self, id: String) -> Result<(), BlobError> {
        self.origin.dismiss(id).await
    }

    async fn delete(&self, name: BlobName, seen: SystemTime) -> Result<bool, BlobError> {
        let is_gone = self.origin.delete(name, seen).await?;
        if is_gone {
            self.take_off(name).await;
        }
        Ok(is_gone)
    }

    async fn list(&self, found: mpsc::Sender<ListedBlob>) -> Result<(), BlobError> {
        self.origin.list(found).await
    }

    async fn sweep(&self) -> Result<(), BlobError> {
        self.shelf.sweep().await?;
        self.origin.sweep().await
    }
}

#[cfg(test)]
#[path = "cached_tests.rs"]
mod tests;
