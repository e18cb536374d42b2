//! The collector of heaps that can go.
//!
//! Three kinds go: those that nothing needs and that the retention keeps no longer; those that were
//! doomed when a server was killed; and orphans, which no row names, because a server was killed between
//! a heap and its row. Nothing goes that was put within [`limits::HEAP_GRACE`], and nothing at all from a
//! place that other databases use too, or that cannot say: what is unknown here may be needed there.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::neighbours::{about, tell};
use super::start::{StartError, State, open_heaps_for, open_store};
use crate::heaps::{BuildId, HeapError, HeapId, HeapUser, Heaps, ListedHeap, MalformedBuildId};
use crate::limits;
use crate::store::{
    DoomedHeap, Expiry, HeapCensus, HeapRetention, OpenError, Retention, Store, StoreError,
    UnneededHeap, inspect,
};
use crate::tenant::Tenant;

/// Looks for heaps that can go, and removes them.
#[derive(Debug)]
pub(super) struct Collector {
    pub(super) store: Store,
    pub(super) heaps: Heaps,
    pub(super) retention: HeapRetention,
    pub(super) user: HeapUser,
}

/// How to collect.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GarbageOptions {
    /// Remove nothing, and tell what would be.
    pub is_dry_run: bool,
    /// Take it that no other database uses the place.
    pub is_sole_database: bool,
}

/// What one collection may do.
#[derive(Debug, Clone, Copy)]
struct Scope {
    options: GarbageOptions,
    with_orphans: bool,
    now: Timestamp,
}

/// A heap that went, or would go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collected {
    /// The heap.
    pub heap: HeapId,
    /// Whose it was, where that is known.
    pub tenant: Option<Tenant>,
    /// What it took, in bytes.
    pub stored_bytes: u64,
    /// When it was used last, where that is known.
    pub last_used_at: Option<Timestamp>,
    /// Why it went.
    pub reason: Reason,
}

/// Why a heap goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Nothing needs it, and its last use was too long ago.
    Age,
    /// Nothing needs it, and those that were used after it take all the room.
    Size,
    /// No execution, session or tag ever came to name it.
    Orphan,
    /// It was about to go when a server ended.
    Interrupted,
}

/// Which other databases use the same place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Neighbours {
    /// None, as far as is known or was said.
    Nobody,
    /// These. So nothing goes.
    Some(Vec<HeapUser>),
    /// The place cannot say. So nothing goes.
    Unknown,
}

/// What became of a collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GarbageReport {
    /// What went, or would go.
    pub collected: Vec<Collected>,
    /// Why nothing went, where that is so.
    pub neighbours: Neighbours,
    /// The heaps that are left, or there now.
    pub census: HeapCensus,
}

/// Why garbage was not collected, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum GarbageError {
    /// Nothing is kept, so nothing can go.
    #[error("a stateless server keeps no heaps: there is nothing to collect")]
    Stateless,
    /// There is no database, so nobody knows what is needed.
    #[error(
        "there is no session database in {}, so nobody knows which heaps are needed; name the one of \
         the server with --session-db-path", .0.display()
    )]
    NoDatabase(std::path::PathBuf),
    /// What is in it is a cluster's, and this node may not know all that the others need.
    #[error(
        "the session database in {} is a node's, and its cluster alone knows which heaps are needed; \
         nothing was removed: nodes remove by themselves what nothing needs, once a minute, by \
         --heap-retention-hours and --heap-retention-mb (all nodes should have the same)", .0.display()
    )]
    Node(std::path::PathBuf),
    /// The session database cannot be looked at.
    #[error("the session database cannot be looked at: {0}")]
    Unreadable(#[from] OpenError),
    /// The system gives no thread.
    #[error("it cannot be begun: {0}")]
    System(#[from] std::io::Error),
    /// A part cannot be opened.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The database failed.
    #[error("the session database failed: {0}")]
    Store(#[from] StoreError),
    /// The place of the heaps failed.
    #[error(transparent)]
    Heaps(#[from] HeapError),
}

/// Collects garbage once, beside the servers that use the same places.
///
/// # Errors
/// [`GarbageError`]: some of it may be gone.
pub async fn collect_garbage(
    state: &State,
    retention: Retention,
    options: GarbageOptions,
) -> Result<GarbageReport, GarbageError> {
    let State::Stateful {
        sessions,
        heaps,
        retention: heap_retention,
    } = state
    else {
        return Err(GarbageError::Stateless);
    };
    if !state.store().exists() {
        return Err(GarbageError::NoDatabase(sessions.clone()));
    }
    let place = sessions.clone();
    let looked = tokio::task::spawn_blocking(move || inspect(&place)).await;
    let found = looked.map_err(|error| OpenError::Thread(std::io::Error::other(error)))??;
    if found.is_some_and(|found| found.is_of_node) {
        return Err(GarbageError::Node(sessions.clone()));
    }
    let heaps = open_heaps_for(heaps.clone(), no_build().map_err(StartError::from)?).await?;
    let store = open_store(state.store(), retention)
        .await
        .map_err(StartError::from)?;
    let user = HeapUser::new(store.database_id().await?, about(state));
    let collector = Collector {
        store: store.clone(),
        heaps,
        retention: *heap_retention,
        user,
    };
    let scope = Scope {
        options,
        with_orphans: true,
        now: Timestamp::now(),
    };
    let report = collector.report(scope).await;
    store.close().await?;
    report
}

/// A collector loads no heaps.
fn no_build() -> Result<BuildId, MalformedBuildId> {
    BuildId::new("none", "none")
}

impl Collector {
    /// Notes that this database uses the place, before it does.
    pub(super) async fn enter(&self) -> Result<(), HeapError> {
        self.heaps.enter(self.user.clone()).await
    }

    /// Collects now and then, until it is told to stop. It can be stopped at any point.
    pub(super) async fn tend(self, stop: CancellationToken) {
        stop.run_until_cancelled(async {
            if !self.heaps.are_own() {
                self.show_use().await;
            }
            sleep(limits::HEAP_COLLECTION_DELAY).await;
            let mut orphans_due = Instant::now();
            let mut neighbours = Neighbours::Nobody;
            loop {
                let with_orphans = Instant::now() >= orphans_due;
                if with_orphans {
                    orphans_due = Instant::now() + limits::HEAP_ORPHANS_INTERVAL;
                    self.show_use().await;
                }
                self.collect_and_tell(with_orphans, &mut neighbours).await;
                sleep(limits::HEAP_COLLECTION_INTERVAL).await;
            }
        })
        .await;
    }

    async fn show_use(&self) {
        for shown in [self.enter().await, self.heaps.sweep().await] {
            if let Err(error) = shown {
                tracing::warn!(%error, "the place of the heaps could not be tidied up");
            }
        }
    }

    async fn collect_and_tell(&self, with_orphans: bool, known: &mut Neighbours) {
        let scope = Scope {
            options: GarbageOptions::default(),
            with_orphans,
            now: Timestamp::now(),
        };
        let mut collected = Vec::new();
        let neighbours = match self.collect(scope, &mut collected).await {
            Ok(neighbours) => neighbours,
            Err(GarbageError::Store(StoreError::Closed)) => return,
            Err(error) => {
                tracing::warn!(%error, "garbage was not collected, or not all of it");
                return;
            }
        };
        if !collected.is_empty() {
            let bytes: u64 = collected.iter().map(|one| one.stored_bytes).sum();
            tracing::info!(heaps = collected.len(), bytes, "heaps have expired");
        }
        // When they were seen changes all the time, and is not news.
        if ids(&neighbours) != ids(known) {
            tell(&neighbours);
        }
        *known = neighbours;
    }

    /// One collection, and what is there afterwards.
    async fn report(&self, scope: Scope) -> Result<GarbageReport, GarbageError> {
        let mut collected = Vec::new();
        let neighbours = self.collect(scope, &mut collected).await?;
        Ok(GarbageReport {
            collected,
            neighbours,
            census: self.store.heap_census().await?,
        })
    }

    async fn collect(
        &self,
        scope: Scope,
        collected: &mut Vec<Collected>,
    ) -> Result<Neighbours, GarbageError> {
        let neighbours = self.neighbours(scope).await?;
        if neighbours != Neighbours::Nobody {
            return Ok(neighbours);
        }
        self.finish_doomed(scope, collected).await?;
        self.expire(scope, collected).await?;
        if scope.with_orphans {
            self.remove_orphans(scope, collected).await?;
        }
        Ok(neighbours)
    }

    async fn neighbours(&self, scope: Scope) -> Result<Neighbours, GarbageError> {
        let users = self.heaps.users().await?;
        let is_sole = scope.options.is_sole_database;
        let Some(mut others) = users else {
            return Ok(if is_sole {
                Neighbours::Nobody
            } else {
                Neighbours::Unknown
            });
        };
        others.retain(|user| user.id != self.user.id);
        if others.is_empty() && !is_sole && !self.heaps.are_own() {
            // Servers of earlier versions have left no note there.
            return Ok(Neighbours::Unknown);
        }
        // Whoever says that there is nobody else does not know what a cluster needs.
        if others.iter().any(HeapUser::is_of_cluster) {
            return Ok(Neighbours::Some(others));
        }
        if is_sole && !scope.options.is_dry_run {
            for other in &others {
                self.heaps.dismiss(other.id.clone()).await?;
            }
        }
        Ok(if is_sole || others.is_empty() {
            Neighbours::Nobody
        } else {
            Neighbours::Some(others)
        })
    }

    /// What was doomed when a server was killed, or could not be removed.
    async fn finish_doomed(
        &self,
        scope: Scope,
        collected: &mut Vec<Collected>,
    ) -> Result<(), GarbageError> {
        for (doomed, tenant) in self.store.doomed_heaps().await? {
            if self.bury(scope, doomed).await? {
                collected.push(Collected {
                    heap: doomed.heap,
                    tenant,
                    stored_bytes: doomed.stored_bytes,
                    last_used_at: None,
                    reason: Reason::Interrupted,
                });
            }
        }
        Ok(())
    }

    /// What nothing needs and the retention keeps no longer.
    async fn expire(
        &self,
        scope: Scope,
        collected: &mut Vec<Collected>,
    ) -> Result<(), GarbageError> {
        let length = if scope.options.is_dry_run {
            u32::MAX
        } else {
            limits::HEAP_COLLECTION_LENGTH
        };
        loop {
            let found = self
                .store
                .unneeded_heaps(self.retention, scope.now, length)
                .await?;
            let is_last = found.len() < length as usize;
            let mut progress = false;
            for heap in found {
                let (doomed, one) = (heap.doomed(), Collected::expired(&heap));
                if !scope.options.is_dry_run && !self.store.forget_heap(heap).await? {
                    continue;
                }
                progress = true;
                if self.bury(scope, doomed).await? {
                    collected.push(one);
                }
            }
            if is_last || !progress {
                return Ok(());
            }
        }
    }

    /// What is stored, is old, and no row names.
    async fn remove_orphans(
        &self,
        scope: Scope,
        collected: &mut Vec<Collected>,
    ) -> Result<(), GarbageError> {
        let age_min = self.retention.age_max.max(limits::HEAP_GRACE);
        let Some(old) = before(scope.now, age_min) else {
            return Ok(());
        };
        let mut listing = self.heaps.list();
        loop {
            let mut stored = Vec::new();
            let mut is_over = false;
            while stored.len() < limits::HEAP_COLLECTION_LENGTH as usize {
                match listing.next().await? {
                    Some(heap) if heap.put_at < old => stored.push(heap),
                    Some(_) => {}
                    None => {
                        is_over = true;
                        break;
                    }
                }
            }
            let doomed = stored.iter().map(|heap| DoomedHeap {
                folder: heap.folder,
                heap: heap.id,
                stored_bytes: heap.stored_bytes,
            });
            for (orphan, tenant) in self.store.orphans(doomed.collect()).await? {
                if !scope.options.is_dry_run && !self.store.doom_orphan(orphan).await? {
                    continue;
                }
                let put_at = stored
                    .iter()
                    .find(|heap| heap.id == orphan.heap && heap.folder == orphan.folder)
                    .and_then(|heap| Timestamp::try_from(heap.put_at).ok());
                if self.bury(scope, orphan).await? {
                    collected.push(Collected {
                        heap: orphan.heap,
                        tenant,
                        stored_bytes: orphan.stored_bytes,
                        last_used_at: put_at,
                        reason: Reason::Orphan,
                    });
                }
            }
            if is_over {
                return Ok(());
            }
        }
    }

    /// Removes the content of a doomed heap; `false` when it was put again and stays. Whoever puts it
    /// makes it young before the row that takes the doom away is written: both must be missed for the
    /// content to go.
    async fn bury(&self, scope: Scope, doomed: DoomedHeap) -> Result<bool, GarbageError> {
        if scope.options.is_dry_run {
            return Ok(true);
        }
        let Some(put_at) = before(scope.now, limits::HEAP_GRACE) else {
            return Ok(false);
        };
        let old = ListedHeap {
            id: doomed.heap,
            folder: doomed.folder,
            stored_bytes: doomed.stored_bytes,
            put_at,
        };
        let is_gone = self.heaps.delete(&old).await?;
        if is_gone {
            self.store.bury_heap(doomed).await?;
        }
        Ok(is_gone)
    }
}

impl Collected {
    fn expired(heap: &UnneededHeap) -> Self {
        Self {
            heap: heap.heap,
            tenant: Some(heap.tenant.clone()),
            stored_bytes: heap.stored_bytes,
            last_used_at: Some(heap.last_used_at),
            reason: match heap.expiry {
                Expiry::Age => Reason::Age,
                Expiry::Size => Reason::Size,
            },
        }
    }
}

/// `None` where nobody can say.
fn ids(neighbours: &Neighbours) -> Option<Vec<&str>> {
    match neighbours {
        Neighbours::Nobody => Some(Vec::new()),
        Neighbours::Some(others) => Some(others.iter().map(|other| other.id.as_str()).collect()),
        Neighbours::Unknown => None,
    }
}

pub(super) fn before(now: Timestamp, age: Duration) -> Option<SystemTime> {
    SystemTime::from(now).checked_sub(age)
}
