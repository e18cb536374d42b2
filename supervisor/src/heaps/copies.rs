//! Copies that are made again: what is here, whether it is on another node too, and one more where it is not.

use super::blobs::{BlobName, TenantFolder};
use super::envelope;
use super::error::{Doing, HeapError};
use super::id::HeapId;
use super::packed::Packed;
use super::peers::{Copied, Wanted};
use super::{Heaps, Inner, refused, stopping, unavailable};
use crate::tenant::Tenant;

/// A heap, by where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HeapAt {
    /// Whose it is.
    pub folder: TenantFolder,
    /// Its name.
    pub id: HeapId,
}

/// What other nodes say of a heap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Elsewhere {
    /// One of them has it.
    Found,
    /// None of them has it.
    Nowhere,
    /// Those who answer do not have it, and others may.
    Unknown,
}

impl HeapAt {
    /// That of a tenant.
    pub fn new(tenant: &Tenant, id: HeapId) -> Self {
        let folder = TenantFolder::of(tenant);
        Self { folder, id }
    }

    pub(super) const fn blob(self) -> BlobName {
        let Self { folder, id } = self;
        BlobName { folder, id }
    }
}

impl Heaps {
    /// Whether they are those of a node among others that each have a place of their own.
    pub fn are_copied(&self) -> bool {
        self.0.peers.get().is_some()
    }

    /// Which of these are here. Nothing is read: what is damaged counts as here until somebody uses it.
    ///
    /// # Errors
    /// [`HeapError::Unavailable`].
    pub async fn which(&self, heaps: &[HeapAt]) -> Result<Vec<bool>, HeapError> {
        self.0.which(heaps).await
    }

    /// What other nodes say of each of these.
    pub async fn elsewhere(&self, heaps: &[HeapAt]) -> Vec<Elsewhere> {
        match self.0.peers.get() {
            Some(peers) => peers.find(heaps).await,
            None => vec![Elsewhere::Nowhere; heaps.len()],
        }
    }

    /// Puts a heap that is here on another node too, whatever build it was made for; how many bytes were
    /// sent for that.
    ///
    /// # Errors
    /// [`HeapError`]: it is not here, not sound, or no other node takes it.
    pub async fn copy_again(&self, tenant: &Tenant, id: HeapId) -> Result<u64, HeapError> {
        let inner = &self.0;
        let Some(peers) = inner.peers.get() else {
            return Ok(0);
        };
        let _hand = inner.hand(tenant).await;
        let (wanted, packed) = inner.look_whoever_made(tenant, id).await?;
        let copied = peers.copy(&wanted, &packed).await;
        let copied = copied.map_err(|error| HeapError::NotCopied {
            id,
            why: error.to_string(),
        })?;
        match copied {
            Copied::Now => {
                let bytes = packed.shape().payload_bytes;
                inner.figures.recopied.inc();
                inner.figures.recopied_bytes.inc_by(bytes);
                Ok(bytes)
            }
            Copied::Before => Ok(0),
            Copied::Nowhere => Err(HeapError::NotCopied {
                id,
                why: "there are no other nodes".to_owned(),
            }),
        }
    }
}

impl Inner {
    pub(super) async fn which(&self, heaps: &[HeapAt]) -> Result<Vec<bool>, HeapError> {
        let mut here = Vec::with_capacity(heaps.len());
        for heap in heaps {
            let size = self.blobs.size(heap.blob()).await;
            let size = size.map_err(|error| unavailable(Doing::Listing, &error))?;
            here.push(size.is_some());
        }
        Ok(here)
    }

    /// What is stored here, and what it was made for.
    async fn look_whoever_made(
        &self,
        tenant: &Tenant,
        id: HeapId,
    ) -> Result<(Wanted, Packed), HeapError> {
        let doing = Doing::Fetching(id);
        let blob = self.stored(tenant, id).await?;
        let (seal, tenant) = (std::sync::Arc::clone(&self.seal), tenant.clone());
        tokio::task::spawn_blocking(move || {
            let build = envelope::said_build(&blob).map_err(|refusal| refused(id, refusal))?;
            let wanted = Wanted { tenant, id, build };
            let packed = seal.unwrap_for(&wanted, &blob)?;
            Ok((wanted, packed))
        })
        .await
        .map_err(|_| stopping(doing))?
    }
}
