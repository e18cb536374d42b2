//! Which heaps other nodes have: they are asked about many at once, one node after the other, each about those
//! that nobody before it has.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::peers::{CallError, HeapPeers, refusal};
use super::words::{Said, Told};
use crate::heaps::{Elsewhere, HeapAt};
use crate::limits::{
    HEAP_ABSENCE_GRACE, HEAP_RECOUNT_LENGTH, HEAP_RECOUNT_PAUSE, HEAP_WORD_WAIT_MAX,
};
use crate::raft::ids::RaftId;
use crate::tenant::Tenant;

impl HeapPeers {
    /// What the others say of each of these.
    pub(super) async fn find_each(&self, heaps: &[HeapAt]) -> Vec<Elsewhere> {
        let mut found = Vec::with_capacity(heaps.len());
        for some in heaps.chunks(HEAP_RECOUNT_LENGTH) {
            found.extend(self.find_some(some).await);
        }
        for (heap, found) in heaps.iter().zip(&found) {
            if *found == Elsewhere::Nowhere {
                self.forget_copy(*heap);
            }
        }
        found
    }

    async fn find_some(&self, heaps: &[HeapAt]) -> Vec<Elsewhere> {
        let mut found = vec![false; heaps.len()];
        let mut is_known = true;
        for node in self.all_others() {
            let missing: Vec<usize> = (0..heaps.len()).filter(|at| !found[*at]).collect();
            if missing.is_empty() {
                break;
            }
            let asked: Vec<HeapAt> = missing.iter().map(|at| heaps[*at]).collect();
            match self.which(node, &asked).await {
                Ok(has) => {
                    self.experience().spoke(node);
                    for (at, has) in missing.into_iter().zip(has) {
                        found[at] = has;
                    }
                }
                Err(error) => {
                    tracing::debug!(%node, %error, "a node does not say which heaps it has");
                    is_known &= self.is_lost(node, &error);
                }
            }
            sleep(HEAP_RECOUNT_PAUSE).await;
        }
        let elsewhere = |found| match (found, is_known) {
            (true, _) => Elsewhere::Found,
            (false, true) => Elsewhere::Nowhere,
            (false, false) => Elsewhere::Unknown,
        };
        found.into_iter().map(elsewhere).collect()
    }

    async fn which(&self, node: RaftId, heaps: &[HeapAt]) -> Result<Vec<bool>, CallError> {
        let mut call = self.call(node, &Tenant::local()).await?;
        let places = heaps.iter();
        let places = places.map(|heap| (*heap.folder.as_bytes(), *heap.id.as_bytes()));
        let said = Said::Which(places.collect());
        match call.say(&said, HEAP_WORD_WAIT_MAX).await? {
            Told::Has(has) if has.len() == heaps.len() => Ok(has),
            told => Err(refusal(told)),
        }
    }

    /// Whether what a node may have counts no more, because it has said nothing for long. One that says
    /// anything is there: it may be busy, or of a version that does not know the question.
    fn is_lost(&self, node: RaftId, error: &CallError) -> bool {
        let now = Instant::now();
        let mut experience = self.experience();
        if error.is_silence() {
            experience.was_silent(node, now);
        } else {
            experience.spoke(node);
        }
        let silence = experience.silence(node, now).unwrap_or(Duration::ZERO);
        silence >= HEAP_ABSENCE_GRACE
    }
}
