//! Stored heaps: what they are called, whose they are, how they are sealed, and where they are kept.
//!
//! ```text
//! put    ─▶ name (SHA-256) ─▶ envelope: pack, MAC ─▶ blobs: a directory, S3, S3 behind a cache
//! fetch ◀── snapshot ◀─────── envelope: MAC, unpack, SHA-256 ◀──┘
//! ```
//!
//! Nodes of a cluster that keep heaps in directories of their own give each other what is missing: [`Peers`]
//! are the others as this node sees them, a [`Keeper`] is what they see of it. Each node has a key of its
//! own, so that the content travels, and not its envelope.
//!
//! A snapshot is code: what loads it does what it says. So nothing is given out that a server with this
//! key has not sealed, for this tenant and this build, under this name.

mod blobs;
mod build;
mod config;
mod copies;
mod envelope;
mod error;
mod id;
mod keeper;
mod key;
mod lifted;
mod listing;
mod packed;
mod peers;
mod recent;
mod snapshot;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::sync::mpsc;

pub use crate::key_file::KeyError;
pub use blobs::{HeapUser, S3SettingsError, TenantFolder};
pub use build::{BUILD_TEXT_BYTES_MAX, BuildId, MalformedBuildId};
pub use config::{AwsVariables, CachePlace, HeapPlace, HeapsConfig};
pub use copies::{Elsewhere, HeapAt};
pub use envelope::Damage;
pub use error::{Doing, HeapError, HeapsOpenError};
pub use id::{HeapId, MalformedHeapId};
pub use keeper::Keeper;
pub use lifted::{Lifted, Removal, Revive};
pub use listing::{ListedHeap, Listing};
pub use packed::{Content, Packed, Shape};
pub use peers::{Copied, Peers, PeersError, Wanted};
pub use snapshot::Snapshot;

use self::blobs::cached::Cached;
use self::blobs::directory::Directory;
use self::blobs::s3::Bucket;
use self::blobs::{BlobError, BlobName, BlobStore};
use self::envelope::{Label, Refusal};
use self::key::SealKey;
use self::peers::Flights;
use self::recent::Recent;
use crate::hex;
use crate::limits;
use crate::metrics::{FoundIn, HeapFigures};
use crate::quota::{Crowd, Member, Sharing};
use crate::tenant::Tenant;

/// How much is put into a place to see whether it keeps it.
const PROBE_BYTES: usize = 64;
/// More than clocks differ by.
const PROBE_AGE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Stored heaps. Clones are cheap and share everything.
#[derive(Debug, Clone)]
pub struct Heaps(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    blobs: Box<dyn BlobStore>,
    seal: Arc<Seal>,
    key_file: PathBuf,
    recent: Recent,
    hands: Crowd,
    figures: HeapFigures,
    /// Whether no other node sees this place.
    is_own_place: bool,
    peers: OnceLock<Arc<dyn Peers>>,
    flights: Flights,
    revive: OnceLock<Arc<dyn Revive>>,
}

/// What heaps are sealed with, and for.
#[derive(Debug)]
struct Seal {
    key: SealKey,
    build: BuildId,
}

/// A heap as it is kept, and as it is loaded.
struct Sealed {
    snapshot: Snapshot,
    blob: Bytes,
    packed: Packed,
}

/// What was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Its name.
    pub id: HeapId,
    /// What it takes where it is kept.
    pub stored_bytes: u64,
}

impl Heaps {
    /// Opens the place where heaps are kept, which is made when it is missing, as is the key. It blocks.
    /// `build` is what would load them.
    ///
    /// # Errors
    /// [`HeapsOpenError`].
    pub fn open(config: HeapsConfig, build: BuildId) -> Result<Self, HeapsOpenError> {
        let is_own_place = matches!(config.place, HeapPlace::Directory(_));
        let blobs: Box<dyn BlobStore> = match config.place {
            HeapPlace::Directory(path) => match Directory::open(&path) {
                Ok(directory) => Box::new(directory),
                Err(source) => return Err(HeapsOpenError::Directory { path, source }),
            },
            HeapPlace::S3 {
                bucket,
                variables,
                cache,
            } => {
                let bucket = Bucket::open(bucket, &variables)?;
                match cache {
                    None => Box::new(bucket),
                    Some(place) => {
                        let bytes_max = place.bytes_max;
                        match Cached::open(bucket, &place.directory, bytes_max) {
                            Ok(cached) => Box::new(cached),
                            Err(source) => {
                                let path = place.directory;
                                return Err(HeapsOpenError::Directory { path, source });
                            }
                        }
                    }
                }
            }
        };
        let key = SealKey::load_or_make(&config.key_file)?;
        Ok(Self(Arc::new(Inner {
            blobs,
            seal: Arc::new(Seal { key, build }),
            key_file: config.key_file,
            recent: Recent::new(limits::RECENT_HEAPS_BYTES_MAX),
            hands: Crowd::new(limits::HEAPS_IN_HAND_MAX, Sharing::Alone),
            figures: HeapFigures::default(),
            is_own_place,
            peers: OnceLock::new(),
            flights: Flights::default(),
            revive: OnceLock::new(),
        })))
    }

    /// Are used by so many tenants from now on; by one until then.
    pub fn share(&self, sharing: Sharing) {
        self.0.hands.share(sharing);
    }

    /// Are those of a node among these others from now on, the first time that this is said. Where all see
    /// one place this changes nothing.
    pub fn join(&self, peers: Arc<dyn Peers>) {
        if self.0.is_own_place && self.0.peers.set(peers).is_err() {
            tracing::error!("the heaps of this server have other nodes already");
        }
    }

    /// What other nodes may do with them; nothing, where all see one place.
    pub fn keeper(&self) -> Option<Keeper> {
        let is_own = self.0.is_own_place;
        is_own.then(|| Keeper::new(Arc::downgrade(&self.0)))
    }

    /// What is counted of them.
    pub fn figures(&self) -> &HeapFigures {
        &self.0.figures
    }

    /// Keeps a heap. It is durable when this returns, also on one more node where there are others.
    ///
    /// # Errors
    /// [`HeapError::TooLarge`], [`HeapError::Unavailable`], [`HeapError::NotCopied`].
    pub async fn put(&self, tenant: &Tenant, snapshot: Vec<u8>) -> Result<Stored, HeapError> {
        let inner = &self.0;
        let _hand = inner.hand(tenant).await;
        let Sealed {
            snapshot,
            blob,
            packed,
        } = {
            let (seal, tenant) = (Arc::clone(&inner.seal), tenant.clone());
            tokio::task::spawn_blocking(move || seal.seal(&tenant, snapshot)).await
        }
        .map_err(|_| stopping(Doing::Sealing))??;
        let id = snapshot.id();
        let name = BlobName::new(tenant, id);
        let stored_bytes = blob.len() as u64;
        if let Some(revive) = inner.revive.get() {
            let revived = revive.revive(tenant, (id, stored_bytes)).await;
            revived.map_err(|why| HeapError::Unavailable {
                doing: Doing::Keeping(id),
                why,
            })?;
        }
        let copy = inner.copy_to_peers(tenant, (id, packed));
        let (put, copied) = tokio::join!(inner.blobs.put(name, blob), copy);
        put.map_err(|error| {
            inner.figures.failures.inc();
            unavailable(Doing::Keeping(id), &error)
        })?;
        copied?;
        inner.figures.put.inc();
        inner.figures.put_bytes.inc_by(stored_bytes);
        inner.recent.keep(name, snapshot);
        Ok(Stored { id, stored_bytes })
    }

    /// A heap of this tenant, as it was put.
    ///
    /// # Errors
    /// [`HeapError`].
    pub async fn fetch(&self, tenant: &Tenant, id: HeapId) -> Result<Snapshot, HeapError> {
        let inner = &self.0;
        let name = BlobName::new(tenant, id);
        if let Some(snapshot) = inner.recent.get(name) {
            inner.figures.fetched.of(FoundIn::Memory).inc();
            return Ok(snapshot);
        }
        let _hand = inner.hand(tenant).await;
        let mut found = inner.look(tenant, name).await;
        let is_refused = matches!(
            found,
            Err(HeapError::Damaged { .. }
                | HeapError::Foreign { .. }
                | HeapError::Incompatible { .. })
        );
        if is_refused && inner.blobs.doubt(name).await {
            found = inner.look(tenant, name).await;
        }
        let found = match found {
            Ok(snapshot) => Ok((snapshot, FoundIn::Place)),
            Err(
                missing @ (HeapError::Unknown { .. }
                | HeapError::Damaged { .. }
                | HeapError::Foreign { .. }),
            ) => inner.fetch_from_peers(tenant, name, missing).await,
            Err(error) => Err(error),
        };
        let (snapshot, place) = found.inspect_err(|error| {
            inner.figures.fetched.of(FoundIn::Nowhere).inc();
            if matches!(error, HeapError::Unavailable { .. }) {
                inner.figures.failures.inc();
            }
        })?;
        inner.figures.fetched.of(place).inc();
        inner.recent.keep(name, snapshot.clone());
        Ok(snapshot)
    }

    /// What a heap takes where it is kept; `None` when it is not there, whatever copies there are.
    ///
    /// # Errors
    /// [`HeapError::Unavailable`].
    pub async fn size(&self, tenant: &Tenant, id: HeapId) -> Result<Option<u64>, HeapError> {
        let found = self.0.blobs.size(BlobName::new(tenant, id)).await;
        found.map_err(|error| unavailable(Doing::Fetching(id), &error))
    }

    /// Whether no other node sees this place.
    pub fn are_own(&self) -> bool {
        self.0.is_own_place
    }

    /// Notes that a database uses this place, or that it is still there.
    ///
    /// # Errors
    /// [`HeapError::Unavailable`].
    pub async fn enter(&self, user: HeapUser) -> Result<(), HeapError> {
        let entered = self.0.blobs.enter(user).await;
        entered.map_err(|error| unavailable(Doing::Registering, &error))
    }

    /// The databases that use this place; `None` where it cannot say.
    ///
    /// # Errors
    /// [`HeapError::Unavailable`].
    pub async fn users(&self) -> Result<Option<Vec<HeapUser>>, HeapError> {
        let users = self.0.blobs.users().await;
        users.map_err(|error| unavailable(Doing::Registering, &error))
    }

    /// Forgets that the database of this id uses this place.
    ///
    /// # Errors
    /// [`HeapError::Unavailable`].
    pub async fn dismiss(&self, id: String) -> Result<(), HeapError> {
        let dismissed = self.0.blobs.dismiss(id).await;
        dismissed.map_err(|error| unavailable(Doing::Registering, &error))
    }

    /// All heaps of all tenants, in no order. Those that are put or removed meanwhile may be there or
    /// not.
    pub fn list(&self) -> Listing {
        let (found, listed) = mpsc::channel(limits::HEAP_LISTING_LENGTH);
        let inner = Arc::clone(&self.0);
        let lister = tokio::spawn(async move { inner.blobs.list(found).await });
        Listing::new(listed, lister)
    }

    /// Removes a heap, unless it was put again since it was listed; `true` when it is gone.
    ///
    /// # Errors
    /// [`HeapError::Unavailable`].
    pub async fn delete(&self, heap: &ListedHeap) -> Result<bool, HeapError> {
        let inner = &self.0;
        let name = BlobName {
            folder: heap.folder,
            id: heap.id,
        };
        let deleted = inner.blobs.delete(name, heap.put_at).await;
        let is_gone = deleted.map_err(|error| unavailable(Doing::Removing(heap.id), &error))?;
        if is_gone {
            inner.recent.forget(name);
            inner.figures.removed.inc();
            inner.figures.removed_bytes.inc_by(heap.stored_bytes);
        }
        Ok(is_gone)
    }

    /// Removes what was left by puts whose server died, and shows that the place and the key are in use,
    /// so that a system that clears its temporary directories does not take them for old.
    ///
    /// # Errors
    /// [`HeapError::Unavailable`].
    pub async fn sweep(&self) -> Result<(), HeapError> {
        let key_file = self.0.key_file.clone();
        // A key that was mounted for reading only is nobody's to clear away.
        let touched = tokio::task::spawn_blocking(move || key::touch(&key_file)).await;
        if let Ok(Err(error)) = touched {
            tracing::debug!(%error, "the heap key cannot be shown to be in use");
        }
        let swept = self.0.blobs.sweep().await;
        swept.map_err(|error| unavailable(Doing::Sweeping, &error))
    }
}

impl Inner {
    /// Waits until there are hands free for one more heap of this tenant. They are never closed.
    async fn hand(&self, tenant: &Tenant) -> Option<Member> {
        self.hands.turn(tenant).await
    }

    async fn look(&self, tenant: &Tenant, name: BlobName) -> Result<Snapshot, HeapError> {
        let id = name.id;
        let blob = match self.blobs.get(name).await {
            Ok(Some(blob)) => {
                self.figures.fetched_bytes.inc_by(blob.len() as u64);
                blob
            }
            Ok(None) => return Err(HeapError::Unknown { id }),
            Err(BlobError::Oversized) => {
                let why = Damage::Long;
                return Err(HeapError::Damaged { id, why });
            }
            Err(error) => return Err(unavailable(Doing::Fetching(id), &error)),
        };
        let (seal, tenant) = (Arc::clone(&self.seal), tenant.clone());
        tokio::task::spawn_blocking(move || seal.open(&tenant, id, &blob))
            .await
            .map_err(|_| stopping(Doing::Fetching(id)))?
    }
}

impl Seal {
    fn seal(&self, tenant: &Tenant, snapshot: Vec<u8>) -> Result<Sealed, HeapError> {
        let id = HeapId::of(&snapshot);
        if snapshot.len() > limits::HEAP_BYTES_MAX {
            let bytes = snapshot.len() as u64;
            return Err(HeapError::TooLarge { id, bytes });
        }
        let snapshot = Snapshot::verified(id, snapshot);
        let packed = Packed::pack(&snapshot);
        let blob = Bytes::from(envelope::seal(&self.key, self.label(tenant, id), &packed));
        let packed = packed.at_end_of(&blob);
        Ok(Sealed {
            snapshot,
            blob,
            packed,
        })
    }

    /// Seals what has been found to have its name.
    fn wrap(&self, wanted: &Wanted, packed: &Packed) -> Bytes {
        envelope::seal(&self.key, wanted.label(), packed).into()
    }

    /// The content of what is sealed for whoever wants it.
    fn unwrap_for(&self, wanted: &Wanted, blob: &Bytes) -> Result<Packed, HeapError> {
        let opened = envelope::open_packed(&self.key, wanted.label(), blob);
        opened.map_err(|refusal| refused(wanted.id, refusal))
    }

    fn open(&self, tenant: &Tenant, id: HeapId, blob: &[u8]) -> Result<Snapshot, HeapError> {
        match envelope::open(&self.key, self.label(tenant, id), blob) {
            Ok(snapshot) => Ok(Snapshot::verified(id, snapshot)),
            Err(refusal) => Err(refused(id, refusal)),
        }
    }

    fn label<'a>(&'a self, tenant: &'a Tenant, id: HeapId) -> Label<'a> {
        let build = &self.build;
        Label { tenant, build, id }
    }
}

impl Wanted {
    const fn label(&self) -> Label<'_> {
        Label {
            tenant: &self.tenant,
            build: &self.build,
            id: self.id,
        }
    }
}

fn refused(id: HeapId, refusal: Refusal) -> HeapError {
    match refusal {
        Refusal::Damaged(why) => HeapError::Damaged { id, why },
        Refusal::Foreign => HeapError::Foreign { id },
        Refusal::Incompatible { found, wanted } => HeapError::Incompatible { id, found, wanted },
        Refusal::TooLarge { bytes } => HeapError::TooLarge { id, bytes },
    }
}

/// Whether the place where heaps are kept takes them, gives them back, lists them and removes them. What is
/// put there for that is nobody's, and gone afterwards.
///
/// # Errors
/// [`HeapsOpenError`] where it does not.
pub async fn reach(place: &HeapPlace) -> Result<(), HeapsOpenError> {
    let HeapPlace::S3 {
        bucket, variables, ..
    } = place
    else {
        return Ok(());
    };
    let bucket = Bucket::open(bucket.clone(), variables)?;
    let unreachable = |why| HeapsOpenError::Unreachable { why };
    let failed = |error: BlobError| unreachable(error.to_string());
    let mut probe = [0; PROBE_BYTES];
    getrandom::fill(&mut probe).map_err(|error| unreachable(error.to_string()))?;
    let probe = Bytes::copy_from_slice(&probe);
    let name = BlobName::new(&Tenant::local(), HeapId::of(&probe));
    bucket.put(name, probe.clone()).await.map_err(failed)?;
    let given = bucket.get(name).await;
    let listed = bucket.size(name).await;
    // Whatever the clocks say, nobody else puts it again.
    let ever = SystemTime::now() + PROBE_AGE;
    let removed = bucket.delete(name, ever).await.map_err(failed)?;
    let is_same = given.map_err(failed)? == Some(probe);
    let is_listed = listed.map_err(failed)? == Some(PROBE_BYTES as u64);
    match (is_same, is_listed, removed) {
        (true, true, true) => Ok(()),
        (false, _, _) => Err(unreachable("it gives back something else".to_owned())),
        (_, false, _) => Err(unreachable("it does not list what it has".to_owned())),
        (_, _, false) => Err(unreachable("it does not remove what it has".to_owned())),
    }
}

fn unavailable(doing: Doing, error: &BlobError) -> HeapError {
    let why = error.to_string();
    HeapError::Unavailable { doing, why }
}

fn stopping(doing: Doing) -> HeapError {
    let why = "the server is shutting down".to_owned();
    HeapError::Unavailable { doing, why }
}

#[cfg(test)]
#[path = "shares_tests.rs"]
mod shares_tests;
