//! Heaps that are removed from a place that all nodes of a cluster see.
//!
//! S3 has no delete that minds a put which comes meanwhile, and what excludes the two in one process is of no
//! use between several. So both ends do a little more than elsewhere:
//!
//! ```text
//! put     is it doomed? its row is written on all nodes ([`Revive`]) ─▶ content
//! remove  content is read ─▶ it is removed ─▶ has it a row by now? content is put back
//! ```
//!
//! Either the row is there when the remover looks, or it was written after the removal, and the content after
//! that.

use std::fmt::Debug;

use async_trait::async_trait;
use bytes::Bytes;

use super::blobs::{BlobError, BlobName};
use super::error::{Doing, HeapError};
use super::id::HeapId;
use super::listing::ListedHeap;
use super::{Heaps, unavailable};
use crate::tenant::Tenant;

/// Who knows which heaps are about to go.
#[async_trait]
pub trait Revive: Debug + Send + Sync + 'static {
    /// Has all nodes know that a heap stays, if it was to go: it is about to be put again.
    ///
    /// # Errors
    /// For people: nobody can be told.
    async fn revive(&self, tenant: &Tenant, heap: (HeapId, u64)) -> Result<(), String>;
}

/// What became of a removal.
#[derive(Debug)]
pub enum Removal {
    /// It was put again, and stays.
    Young,
    /// It was not there.
    Absent,
    /// It was removed. Whoever finds that it is needed puts it back.
    Lifted(Lifted),
}

/// A heap that was removed a moment ago.
#[derive(Debug)]
#[must_use = "somebody may need it by now"]
pub struct Lifted {
    name: BlobName,
    blob: Bytes,
    is_certain: Result<(), HeapError>,
}

impl Lifted {
    /// Whether it is gone for certain.
    ///
    /// # Errors
    /// Why nobody knows.
    pub fn is_certain(&self) -> Result<(), HeapError> {
        self.is_certain.clone()
    }
}

impl Heaps {
    /// Has somebody hear of each heap before it is put, where all nodes of a cluster see this place, the first
    /// time that this is said.
    pub fn revive_by(&self, revive: std::sync::Arc<dyn Revive>) {
        if !self.0.is_own_place && self.0.revive.set(revive).is_err() {
            tracing::error!("the heaps of this server are a cluster's already");
        }
    }

    /// Removes a heap, unless it was put again since it was listed, and holds it until it is known that nobody
    /// needs it.
    ///
    /// # Errors
    /// [`HeapError::Unavailable`]: it is still there.
    pub async fn lift(&self, heap: &ListedHeap) -> Result<Removal, HeapError> {
        let (inner, doing) = (&self.0, Doing::Removing(heap.id));
        let name = BlobName {
            folder: heap.folder,
            id: heap.id,
        };
        let blob = match inner.blobs.get(name).await {
            Ok(Some(blob)) => blob,
            Ok(None) => {
                inner.recent.forget(name);
                return Ok(Removal::Absent);
            }
            // It is nothing that anybody could use.
            Err(BlobError::Oversized) => Bytes::new(),
            Err(error) => return Err(unavailable(doing, &error)),
        };
        let is_certain = match inner.blobs.delete(name, heap.put_at).await {
            Ok(false) => return Ok(Removal::Young),
            Ok(true) => {
                inner.figures.removed.inc();
                inner.figures.removed_bytes.inc_by(heap.stored_bytes);
                Ok(())
            }
            // It may be removed a moment later.
            Err(error) => Err(unavailable(doing, &error)),
        };
        inner.recent.forget(name);
        Ok(Removal::Lifted(Lifted {
            name,
            blob,
            is_certain,
        }))
    }

    /// Puts back what was removed.
    ///
    /// # Errors
    /// [`HeapError::Unavailable`].
    pub async fn put_back(&self, lifted: Lifted) -> Result<(), HeapError> {
        let Lifted { name, blob, .. } = lifted;
        if blob.is_empty() {
            return Ok(());
        }
        let put = self.0.blobs.put(name, blob).await;
        put.map_err(|error| unavailable(Doing::Keeping(name.id), &error))
    }
}
