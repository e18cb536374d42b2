//! Copies of heaps that are made again.
//!
//! In a cluster whose nodes keep heaps in places of their own, each heap is put on two of them. When one of
//! these is lost for good, the other has it alone, and is the one to put it on another. So each node walks
//! over the heaps that are known and here, slowly, and asks the others for those: now and then, and soon
//! after somebody has come or gone. What a node may have that says nothing for a moment is not made again
//! ([`limits::HEAP_ABSENCE_GRACE`]).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::nodes::Nodes;
use crate::cluster::Status;
use crate::heaps::{Elsewhere, HeapAt, HeapError, Heaps};
use crate::limits;
use crate::raft::ids::RaftId;
use crate::store::{KnownHeap, Store, StoreError};

/// Who looks after copies.
#[derive(Debug)]
pub(super) struct Copies {
    pub(super) store: Store,
    pub(super) heaps: Heaps,
    pub(super) nodes: Arc<Nodes>,
}

/// What a walk has come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Walked {
    /// Heaps that were put on another node.
    copied: u64,
    /// Heaps of which no other node is known to have a copy.
    short: u64,
}

/// Why a walk did not come to its end.
#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("the session database failed: {0}")]
    Store(#[from] StoreError),
    #[error(transparent)]
    Heaps(#[from] HeapError),
}

impl Copies {
    /// Walks now and then. It can be stopped at any point.
    pub(super) async fn tend(self) {
        let mut status = self.nodes.handle.watch();
        let mut delay = limits::HEAP_RECOUNT_DELAY;
        loop {
            self.heaps.figures().counting.set(1);
            sleep(delay).await;
            let seen = members(&status.borrow_and_update());
            match self.walk().await {
                Ok(walked) => {
                    self.tell(walked);
                    // Who has come or gone meanwhile is not counted yet.
                    if members(&status.borrow()) == seen {
                        self.heaps.figures().counting.set(0);
                    }
                }
                Err(Problem::Store(StoreError::Closed)) => return,
                Err(error) => tracing::warn!(%error, "copies of heaps were not counted"),
            }
            let others_come_or_go = status.wait_for(|now| members(now) != seen);
            delay = match timeout(limits::HEAP_RECOUNT_INTERVAL, others_come_or_go).await {
                Ok(Ok(_)) => limits::HEAP_RECOUNT_CHANGE_DELAY,
                Ok(Err(_)) => return,
                Err(_) => Duration::ZERO,
            };
        }
    }

    fn tell(&self, walked: Walked) {
        let Walked { copied, short } = walked;
        let before = self.heaps.figures().short.set(gauge(short));
        if copied > 0 {
            tracing::info!(heaps = copied, "heaps were copied to another node again");
        }
        if gauge(short) > before {
            tracing::warn!(
                heaps = short,
                "heaps are on this node, and no other is known to have them"
            );
        }
    }

    async fn walk(&self) -> Result<Walked, Problem> {
        let mut walked = Walked::default();
        if self.nodes.phone.others().is_empty() {
            return Ok(walked);
        }
        let mut after = 0;
        loop {
            let length = limits::HEAP_RECOUNT_LENGTH;
            let known = self.store.known_heaps(after, length).await?;
            let Some(last) = known.last() else {
                return Ok(walked);
            };
            after = last.place;
            for (heap, elsewhere) in self.look(known).await? {
                match elsewhere {
                    Elsewhere::Found => {}
                    Elsewhere::Unknown => walked.short += 1,
                    Elsewhere::Nowhere if self.copy(&heap).await => walked.copied += 1,
                    Elsewhere::Nowhere => walked.short += 1,
                }
            }
        }
    }

    /// Those that are here, and what others say of them.
    async fn look(&self, known: Vec<KnownHeap>) -> Result<Vec<(KnownHeap, Elsewhere)>, HeapError> {
        let places: Vec<HeapAt> = known.iter().map(place).collect();
        let here = self.heaps.which(&places).await?;
        let known = known.into_iter().zip(here);
        let here: Vec<KnownHeap> = known.filter_map(|(heap, is)| is.then_some(heap)).collect();
        if here.is_empty() {
            sleep(limits::HEAP_RECOUNT_PAUSE).await;
            return Ok(Vec::new());
        }
        let places: Vec<HeapAt> = here.iter().map(place).collect();
        let elsewhere = self.heaps.elsewhere(&places).await;
        Ok(here.into_iter().zip(elsewhere).collect())
    }

    /// Copies one, and takes the time for it that it may.
    async fn copy(&self, heap: &KnownHeap) -> bool {
        match self.heaps.copy_again(&heap.tenant, heap.heap).await {
            Ok(bytes) => {
                sleep(pace(bytes)).await;
                true
            }
            Err(error) => {
                tracing::warn!(heap = %heap.heap, %error, "a heap could not be copied again");
                false
            }
        }
    }
}

fn place(known: &KnownHeap) -> HeapAt {
    HeapAt::new(&known.tenant, known.heap)
}

fn pace(bytes: u64) -> Duration {
    Duration::from_millis(bytes.saturating_mul(1000) / limits::HEAP_RECOPY_BYTES_PER_SEC)
}

fn gauge(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn members(status: &Status) -> BTreeSet<RaftId> {
    let present = status.members.present.iter();
    present.map(|member| member.id).collect()
}
