//! Other nodes, each of which keeps heaps in a place of its own: what is missing here is fetched from them,
//! and what is put here is copied to one of them.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::sync::OwnedMutexGuard;

use super::blobs::BlobName;
use super::build::BuildId;
use super::copies::{Elsewhere, HeapAt};
use super::error::{Doing, HeapError};
use super::id::HeapId;
use super::packed::{Content, Packed};
use super::snapshot::Snapshot;
use super::{Inner, stopping, unavailable};
use crate::metrics::FoundIn;
use crate::tenant::Tenant;

/// Which heap is meant, and what it has to have been made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Whose it is.
    pub tenant: Tenant,
    /// Its name.
    pub id: HeapId,
    /// What would load it.
    pub build: BuildId,
}

/// Why other nodes do not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeersError {
    /// What they have was made by another build.
    #[error("it was made by {found}")]
    Incompatible {
        /// Which.
        found: String,
    },
    /// They cannot be asked, or not all of them.
    #[error("{why}")]
    Unreachable {
        /// What happened.
        why: String,
    },
}

/// On which other node a heap is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copied {
    /// On one that has taken it now.
    Now,
    /// On one that has taken it a moment ago.
    Before,
    /// There are no other nodes.
    Nowhere,
}

/// Other nodes.
#[async_trait]
pub trait Peers: Debug + Send + Sync + 'static {
    /// A heap that one of them has; `None` when none of them has it.
    ///
    /// # Errors
    /// [`PeersError`].
    async fn fetch(&self, wanted: &Wanted) -> Result<Option<Content>, PeersError>;

    /// Puts a heap on one of them. It is durable there when this returns.
    ///
    /// # Errors
    /// [`PeersError`]: no other node has it, as far as is known.
    async fn copy(&self, wanted: &Wanted, packed: &Packed) -> Result<Copied, PeersError>;

    /// What they say of each of these, in their order. What they were believed to have, and have not, is
    /// believed no longer.
    async fn find(&self, heaps: &[HeapAt]) -> Vec<Elsewhere>;
}

/// Those heaps that are being fetched from others: each once at a time.
#[derive(Debug, Default)]
pub(super) struct Flights(Mutex<HashMap<BlobName, Arc<tokio::sync::Mutex<()>>>>);

impl Flights {
    /// Waits until nobody else fetches this heap.
    async fn board(&self, name: BlobName) -> OwnedMutexGuard<()> {
        let flight = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.retain(|_, flight| Arc::strong_count(flight) > 1);
            Arc::clone(all.entry(name).or_default())
        };
        flight.lock_owned().await
    }
}

impl Inner {
    /// Fetches from others what is missing here, or damaged, and keeps it. Where they do not help, the error
    /// stays what it was.
    pub(super) async fn fetch_from_peers(
        &self,
        tenant: &Tenant,
        name: BlobName,
        missing: HeapError,
    ) -> Result<(Snapshot, FoundIn), HeapError> {
        let Some(peers) = self.peers.get() else {
            return Err(missing);
        };
        let _alone = self.flights.board(name).await;
        if let Some(snapshot) = self.recent.get(name) {
            return Ok((snapshot, FoundIn::Memory));
        }
        let id = name.id;
        let wanted = self.wanted(tenant, id);
        match peers.fetch(&wanted).await {
            Ok(Some(content)) => {
                let bytes = content.packed().shape().payload_bytes;
                self.figures.peer_fetched_bytes.inc_by(bytes);
                let snapshot = self.keep_for(&wanted, content).await;
                snapshot.map(|snapshot| (snapshot, FoundIn::Peer))
            }
            Ok(None) => Err(missing),
            Err(PeersError::Incompatible { found }) => Err(HeapError::Incompatible {
                id,
                found,
                wanted: wanted.build.to_string(),
            }),
            Err(PeersError::Unreachable { why }) => match missing {
                HeapError::Unknown { .. } => {
                    // Who they are, and what their disks say, is for the log alone.
                    tracing::warn!(heap = %id, why, "other nodes could not be asked for a heap");
                    Err(HeapError::Unavailable {
                        doing: Doing::Fetching(id),
                        why: "it is not on this node, and others cannot be asked now".to_owned(),
                    })
                }
                damaged => Err(damaged),
            },
        }
    }

    /// Keeps what another node gave. It can be loaded also where there is no room for it.
    async fn keep_for(&self, wanted: &Wanted, content: Content) -> Result<Snapshot, HeapError> {
        let name = BlobName::new(&wanted.tenant, wanted.id);
        let snapshot = content.clone().into_snapshot();
        let blob = self.seal_for(wanted, content).await?;
        if let Err(error) = self.blobs.put(name, blob).await {
            self.figures.failures.inc();
            let error = unavailable(Doing::Keeping(wanted.id), &error);
            tracing::warn!(%error, "a heap that another node has given is used, and cannot be kept");
        }
        Ok(snapshot)
    }

    /// Seals what another node gave, with the key of this one.
    pub(super) async fn seal_for(
        &self,
        wanted: &Wanted,
        content: Content,
    ) -> Result<bytes::Bytes, HeapError> {
        let (seal, of) = (Arc::clone(&self.seal), wanted.clone());
        tokio::task::spawn_blocking(move || seal.wrap(&of, content.packed()))
            .await
            .map_err(|_| stopping(Doing::Sealing))
    }

    /// Puts a heap on another node too, where there are any.
    pub(super) async fn copy_to_peers(
        &self,
        tenant: &Tenant,
        (id, packed): (HeapId, Packed),
    ) -> Result<(), HeapError> {
        let Some(peers) = self.peers.get() else {
            return Ok(());
        };
        let copied = peers.copy(&self.wanted(tenant, id), &packed).await;
        let copied = copied.map_err(|error| {
            self.figures.failures.inc();
            tracing::warn!(heap = %id, %error, "a heap could not be copied to another node");
            let why = "none of them takes it now".to_owned();
            HeapError::NotCopied { id, why }
        })?;
        if copied == Copied::Now {
            self.figures.copied.inc();
            let bytes = packed.shape().payload_bytes;
            self.figures.copied_bytes.inc_by(bytes);
        }
        Ok(())
    }

    fn wanted(&self, tenant: &Tenant, id: HeapId) -> Wanted {
        Wanted {
            tenant: tenant.clone(),
            id,
            build: self.seal.build.clone(),
        }
    }
}
