//! What other nodes may do with the heaps of this one.

use std::sync::{Arc, Weak};

use super::blobs::{BlobError, BlobName};
use super::copies::HeapAt;
use super::envelope::Damage;
use super::error::{Doing, HeapError};
use super::id::HeapId;
use super::packed::Packed;
use super::peers::Wanted;
use super::{Inner, stopping, unavailable};
use crate::tenant::Tenant;

/// The heaps of this node, as long as it has them, for other nodes: it gives what is here, and takes what
/// they bring. It asks nobody else. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Keeper(Weak<Inner>);

impl Keeper {
    pub(super) const fn new(heaps: Weak<Inner>) -> Self {
        Self(heaps)
    }

    /// A heap that is here, sealed for this tenant and this build: its content, which the seal vouches for.
    ///
    /// # Errors
    /// [`HeapError`].
    pub async fn give(&self, wanted: &Wanted) -> Result<Packed, HeapError> {
        let doing = Doing::Fetching(wanted.id);
        let inner = self.inner(doing)?;
        let (packed, _) = inner.look_for(wanted).await?;
        inner.figures.given.inc();
        let bytes = packed.shape().payload_bytes;
        inner.figures.given_bytes.inc_by(bytes);
        Ok(packed)
    }

    /// Keeps a heap that another node has made. It is durable when this returns. Only what has that name is
    /// taken.
    ///
    /// # Errors
    /// [`HeapError`].
    pub async fn take(&self, wanted: &Wanted, packed: Packed) -> Result<(), HeapError> {
        let (id, doing) = (wanted.id, Doing::Keeping(wanted.id));
        let inner = self.inner(doing)?;
        let bytes = packed.shape().payload_bytes;
        let content = tokio::task::spawn_blocking(move || packed.verify(id)).await;
        let content = content.map_err(|_| stopping(doing))?;
        let content = content.map_err(|why| HeapError::Damaged { id, why })?;
        let blob = inner.seal_for(wanted, content).await?;
        let put = inner.blobs.put(BlobName::new(&wanted.tenant, id), blob);
        put.await.map_err(|error| {
            inner.figures.failures.inc();
            unavailable(doing, &error)
        })?;
        inner.figures.taken.inc();
        inner.figures.taken_bytes.inc_by(bytes);
        Ok(())
    }

    /// Counts a heap as put now, if it is here and sound: whoever wants to bring it need not.
    ///
    /// # Errors
    /// [`HeapError::Unavailable`].
    pub async fn renew(&self, wanted: &Wanted) -> Result<bool, HeapError> {
        let doing = Doing::Keeping(wanted.id);
        let inner = self.inner(doing)?;
        match inner.look_for(wanted).await {
            Ok((_, blob)) => {
                let name = BlobName::new(&wanted.tenant, wanted.id);
                let put = inner.blobs.put(name, blob).await;
                put.map_err(|error| unavailable(doing, &error))?;
                Ok(true)
            }
            Err(error @ HeapError::Unavailable { .. }) => Err(error),
            Err(_) => Ok(false),
        }
    }

    /// Which of these are here.
    ///
    /// # Errors
    /// [`HeapError::Unavailable`].
    pub async fn which(&self, heaps: Vec<HeapAt>) -> Result<Vec<bool>, HeapError> {
        self.inner(Doing::Listing)?.which(&heaps).await
    }

    fn inner(&self, doing: Doing) -> Result<Arc<Inner>, HeapError> {
        self.0.upgrade().ok_or_else(|| stopping(doing))
    }
}

impl Inner {
    /// What is stored here, sealed, whatever it is.
    pub(super) async fn stored(
        &self,
        tenant: &Tenant,
        id: HeapId,
    ) -> Result<bytes::Bytes, HeapError> {
        match self.blobs.get(BlobName::new(tenant, id)).await {
            Ok(Some(blob)) => Ok(blob),
            Ok(None) => Err(HeapError::Unknown { id }),
            Err(BlobError::Oversized) => {
                let why = Damage::Long;
                Err(HeapError::Damaged { id, why })
            }
            Err(error) => Err(unavailable(Doing::Fetching(id), &error)),
        }
    }

    /// What is stored here, sealed, and its content.
    async fn look_for(&self, wanted: &Wanted) -> Result<(Packed, bytes::Bytes), HeapError> {
        let doing = Doing::Fetching(wanted.id);
        let blob = self.stored(&wanted.tenant, wanted.id).await?;
        let (seal, of) = (Arc::clone(&self.seal), wanted.clone());
        tokio::task::spawn_blocking(move || Ok((seal.unwrap_for(&of, &blob)?, blob)))
            .await
            .map_err(|_| stopping(doing))?
    }
}
