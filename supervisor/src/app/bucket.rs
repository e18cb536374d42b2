//! The collector of a place that all nodes of a cluster see: a bucket of S3.
//!
//! The node that leads collects, and no other. What it forgets it forgets through the log: a heap that
//! anything needs on any node is refused there, and one that an execution has started from counts as used. It
//! is doomed on all nodes then, and its content goes [`limits::HEAP_GRACE`] later, so that what was being put
//! when it was doomed is written down before; who puts it from then on knows that it is doomed, and says
//! first that it stays (see `heaps::lifted`). Orphans are written down as used long ago, and go like all
//! others.
//!
//! ```text
//! the leader   unneeded ─▶ forgotten, doomed on all nodes ─▶ 20 minutes ─▶ certain? removed ─▶ certain?
//! the others   doomed ─▶ an hour ─▶ is it gone?
//! ```

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::garbage::{Collector, before};
use super::nodes::Nodes;
use crate::cluster::{Role, Standing};
use crate::heaps::{HeapError, HeapId, HeapUser, ListedHeap, Removal, Revive};
use crate::hex::Hex;
use crate::limits;
use crate::raft::core::Failure;
use crate::store::{DoomedHeap, Store, StoreError};
use crate::tenant::Tenant;

/// Says of heaps that are put that they stay.
#[derive(Debug)]
pub(super) struct Keeping(pub(super) Store);

#[async_trait]
impl Revive for Keeping {
    async fn revive(&self, tenant: &Tenant, heap: (HeapId, u64)) -> Result<(), String> {
        let revived = self.0.revive_heap(tenant.clone(), heap, Timestamp::now());
        revived.await.map_err(|error| error.to_string())
    }
}

/// Collects from a bucket for a cluster.
#[derive(Debug)]
pub(super) struct BucketCollector {
    /// Its user is the cluster.
    collector: Collector,
    nodes: Arc<Nodes>,
    /// What the database of this node was to the place before it was in a cluster.
    earlier: Option<HeapUser>,
    /// Since when heaps are doomed, as far as this node has seen.
    doomed: HashMap<DoomedHeap, Instant>,
    /// How long they are before they go.
    grace: Duration,
}

/// Why it was not collected, or not all.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    #[error("the session database failed: {0}")]
    Store(#[from] StoreError),
    #[error(transparent)]
    Heaps(#[from] HeapError),
    #[error(transparent)]
    Cluster(#[from] Failure),
    #[error("another session database uses the same place ({0})")]
    Neighbour(String),
    #[error("its clock and that of this node differ by {} s", .0.as_secs())]
    Clock(Duration),
    #[error("this node leads no longer")]
    Deposed,
}

impl BucketCollector {
    /// Of a node that is in a cluster.
    pub(super) fn new(mut collector: Collector, nodes: Arc<Nodes>) -> Self {
        let id = nodes.phone.cluster().map(|cluster| cluster.0);
        let id = Hex(&id.unwrap_or_default()).to_string();
        let about = format!("a cluster, one node of which is {}", collector.user.about);
        let user = HeapUser::cluster(&id, about);
        let earlier = Some(std::mem::replace(&mut collector.user, user));
        Self {
            collector,
            nodes,
            earlier,
            doomed: HashMap::new(),
            grace: limits::HEAP_GRACE,
        }
    }

    /// Collects now and then while this node leads, until it is told to stop. It can be stopped at any point.
    pub(super) async fn tend(mut self, stop: CancellationToken) {
        stop.run_until_cancelled(async {
            sleep(limits::HEAP_COLLECTION_DELAY).await;
            let mut orphans_due = Instant::now();
            let mut last = String::new();
            loop {
                let with_orphans = Instant::now() >= orphans_due;
                let word = match self.round(with_orphans).await {
                    Ok(()) => String::new(),
                    Err(Problem::Store(StoreError::Closed)) => return,
                    Err(problem) => problem.to_string(),
                };
                if with_orphans && word.is_empty() {
                    orphans_due = Instant::now() + limits::HEAP_ORPHANS_INTERVAL;
                }
                // What is the case for days is said once.
                if word != last && !word.is_empty() {
                    tracing::warn!("heaps were not removed from their place, or not all: {word}");
                }
                last = word;
                sleep(limits::HEAP_COLLECTION_INTERVAL).await;
            }
        })
        .await;
    }

    /// What a node does once a minute.
    pub(super) async fn round(&mut self, with_orphans: bool) -> Result<(), Problem> {
        self.note_doomed().await?;
        if !self.leads() {
            return self.bury_what_is_gone().await;
        }
        self.enter().await?;
        if with_orphans {
            self.collector.heaps.sweep().await?;
        }
        self.look_around().await?;
        self.remove_doomed().await?;
        if with_orphans {
            self.note_orphans().await?;
        }
        self.forget_unneeded().await
    }

    fn leads(&self) -> bool {
        self.nodes
            .handle
            .look(|status| status.role == Role::Leader && status.standing == Standing::Works)
    }

    /// What is doomed, and since when. One that was put again, and doomed again, was needed for longer than
    /// there is between two looks.
    async fn note_doomed(&mut self) -> Result<(), StoreError> {
        let now: HashSet<DoomedHeap> = {
            let all = self.collector.store.doomed_heaps().await?;
            all.into_iter().map(|(heap, _)| heap).collect()
        };
        self.doomed.retain(|heap, _| now.contains(heap));
        for heap in now {
            self.doomed.entry(heap).or_insert_with(Instant::now);
        }
        Ok(())
    }

    fn doomed_for(&self, age: Duration) -> Vec<DoomedHeap> {
        let old = self.doomed.iter();
        let old = old.filter(|(_, since)| since.elapsed() >= age);
        old.map(|(heap, _)| *heap).collect()
    }

    /// The node that leads has removed them, or a later one will.
    async fn bury_what_is_gone(&self) -> Result<(), Problem> {
        for doomed in self.doomed_for(limits::HEAP_DOOM_AGE_MAX) {
            let at = crate::heaps::HeapAt {
                folder: doomed.folder,
                id: doomed.heap,
            };
            if self.collector.heaps.which(&[at]).await? == [false] {
                self.collector.store.bury_heap(doomed).await?;
            }
        }
        Ok(())
    }

    /// Notes that this cluster uses the place. What a node's database was to it before it was in the cluster,
    /// it is no longer.
    async fn enter(&mut self) -> Result<(), HeapError> {
        self.collector.user.seen_at = SystemTime::now();
        self.collector.enter().await?;
        if let Some(earlier) = &self.earlier {
            self.collector.heaps.dismiss(earlier.id.clone()).await?;
            self.earlier = None;
        }
        Ok(())
    }

    /// Whether nobody else uses the place, and whether its clock is ours.
    async fn look_around(&self) -> Result<(), Problem> {
        let me = &self.collector.user;
        let users = self.collector.heaps.users().await?.unwrap_or_default();
        let Some(seen) = users.iter().find(|user| user.id == me.id) else {
            let why = "it does not list what it has".to_owned();
            return Err(Problem::Neighbour(why));
        };
        if let Some(other) = users.iter().find(|user| user.id != me.id) {
            return Err(Problem::Neighbour(format!(
                "users/{}.user: {}",
                other.id, other.about
            )));
        }
        let now = SystemTime::now();
        let difference = match now.duration_since(seen.seen_at) {
            Ok(ahead) => ahead,
            Err(behind) => behind.duration(),
        };
        if difference > limits::HEAP_CLOCK_DIFFERENCE_MAX {
            return Err(Problem::Clock(difference));
        }
        Ok(())
    }

    async fn remove_doomed(&self) -> Result<(), Problem> {
        for doomed in self.doomed_for(self.grace) {
            if !self.leads() {
                return Err(Problem::Deposed);
            }
            self.remove(doomed).await?;
        }
        Ok(())
    }

    /// Removes the content of a doomed heap, unless somebody needs it now: before and afterwards this looks
    /// at what is certain.
    async fn remove(&self, doomed: DoomedHeap) -> Result<(), Problem> {
        let (store, heaps) = (&self.collector.store, &self.collector.heaps);
        self.nodes.handle.read_barrier().await?;
        let Some(put_at) = before(Timestamp::now(), limits::HEAP_GRACE) else {
            return Ok(());
        };
        if !store.is_doomed(doomed).await? {
            return Ok(());
        }
        let old = ListedHeap {
            id: doomed.heap,
            folder: doomed.folder,
            stored_bytes: doomed.stored_bytes,
            put_at,
        };
        let lifted = match heaps.lift(&old).await? {
            Removal::Young => return Ok(()),
            Removal::Absent => return Ok(store.bury_heap(doomed).await?),
            Removal::Lifted(lifted) => lifted,
        };
        let is_unneeded = async {
            self.nodes.handle.read_barrier().await?;
            Ok::<bool, Problem>(store.is_doomed(doomed).await?)
        };
        match is_unneeded.await {
            Ok(true) => {
                lifted.is_certain()?;
                store.bury_heap(doomed).await?;
                tracing::debug!(heap = %doomed.heap, "a heap has expired");
                Ok(())
            }
            Ok(false) => Ok(heaps.put_back(lifted).await?),
            Err(problem) => {
                // Nobody knows: it goes later, if at all.
                heaps.put_back(lifted).await?;
                Err(problem)
            }
        }
    }

    /// What nothing needs and the retention keeps no longer is doomed on all nodes, unless one of them needs
    /// it by then.
    async fn forget_unneeded(&self) -> Result<(), Problem> {
        let Collector {
            store, retention, ..
        } = &self.collector;
        let length = limits::HEAP_COLLECTION_LENGTH;
        let mut forgotten = 0_u64;
        loop {
            let now = Timestamp::now();
            let found = store.unneeded_heaps(*retention, now, length).await?;
            let is_last = found.len() < length as usize;
            let before = forgotten;
            for heap in found {
                forgotten += u64::from(store.forget_heap(heap).await?);
            }
            if is_last || forgotten == before {
                break;
            }
        }
        if forgotten > 0 {
            tracing::info!(heaps = forgotten, "heaps have expired, and go in a while");
        }
        Ok(())
    }

    /// What is stored, is old, and no row names, is written down as used when it was put. What is in the
    /// folder of a tenant who has no other heap stays: nobody knows whose it is.
    async fn note_orphans(&self) -> Result<(), Problem> {
        let Collector {
            store,
            heaps,
            retention,
            ..
        } = &self.collector;
        let age_min = retention.age_max.max(limits::HEAP_GRACE);
        let Some(old) = before(Timestamp::now(), age_min) else {
            return Ok(());
        };
        let mut listing = heaps.list();
        while let Some(heap) = listing.next().await? {
            if heap.put_at >= old {
                continue;
            }
            let stored = DoomedHeap {
                folder: heap.folder,
                heap: heap.id,
                stored_bytes: heap.stored_bytes,
            };
            for (orphan, tenant) in store.orphans(vec![stored]).await? {
                let (Some(tenant), Ok(at)) = (tenant, Timestamp::try_from(heap.put_at)) else {
                    continue;
                };
                let orphan = (orphan.heap, orphan.stored_bytes);
                store.note_orphan(tenant, orphan, at).await?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "bucket_tests.rs"]
mod tests;
