//! Connections to other nodes for questions: as many to each as there are questions on their way, within
//! bounds. What is asked of one kind never waits for another kind, and tenants take turns within each.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::line::Line;
use crate::limits::{
    DECISIVE_QUESTIONS_AT_ONCE, HEAP_TRANSFERS_AT_ONCE, IDLE_LINES_MAX, LINKS_MAX,
    LONG_QUESTIONS_AT_ONCE, QUICK_QUESTIONS_AT_ONCE,
};
use crate::quota::{Crowd, Member, Sharing};
use crate::raft::ids::RaftId;
use crate::tenant::Tenant;

/// What a question is, which says whose places it takes. How long somebody would wait says nothing: a
/// question that changes something may be slow, and must not wait for those who only look on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuestionKind {
    /// It is answered with what is there.
    Quick,
    /// It ends something.
    Decisive,
    /// It waits for something to happen.
    Long,
    /// It carries a heap.
    Heap,
}

/// Those to all nodes.
#[derive(Debug, Default)]
pub(super) struct Lines(Mutex<Bundles>);

#[derive(Debug, Default)]
struct Bundles {
    sharing: Sharing,
    by: BTreeMap<RaftId, Arc<Bundle>>,
}

/// Those to one.
#[derive(Debug)]
struct Bundle {
    quick: Crowd,
    decisive: Crowd,
    long: Crowd,
    heaps: Crowd,
    /// The one used last is the last. A line is kept also where its connection is not: it is what numbers
    /// questions, and the other end remembers each for a while.
    idle: Mutex<Vec<Line>>,
}

/// A place for one question, and the line for it. Both are given back when this is dropped: a question
/// that nobody waits for any more has then cut the connection.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) line: Option<Line>,
    bundle: Arc<Bundle>,
    _place: Member,
}

impl Lines {
    /// Places are shared so from now on, those to every node.
    pub(super) fn share(&self, sharing: Sharing) {
        let mut bundles = self.bundles();
        bundles.sharing = sharing;
        for bundle in bundles.by.values() {
            bundle.share(sharing);
        }
    }

    /// Waits for a place for a question of this kind. `None` for more nodes than there are.
    pub(super) async fn place(
        &self,
        to: RaftId,
        (tenant, kind): (&Tenant, QuestionKind),
        is_member: impl Fn(RaftId) -> bool,
    ) -> Option<Held> {
        let bundle = self.bundle(to, is_member)?;
        let place = bundle.crowd(kind).turn(tenant).await?;
        let line = bundle.idle().pop();
        Some(Held {
            line,
            bundle,
            _place: place,
        })
    }

    fn bundle(&self, to: RaftId, is_member: impl Fn(RaftId) -> bool) -> Option<Arc<Bundle>> {
        let mut bundles = self.bundles();
        if let Some(bundle) = bundles.by.get(&to) {
            return Some(Arc::clone(bundle));
        }
        if bundles.by.len() >= LINKS_MAX {
            bundles.by.retain(|id, _| is_member(*id));
        }
        if bundles.by.len() >= LINKS_MAX {
            return None;
        }
        let bundle = Arc::new(Bundle::new(bundles.sharing));
        bundles.by.insert(to, Arc::clone(&bundle));
        Some(bundle)
    }

    /// Ends all connections that nothing is asked on.
    pub(super) fn close(&self) {
        self.bundles().by.clear();
    }

    fn bundles(&self) -> MutexGuard<'_, Bundles> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bundle {
    fn new(sharing: Sharing) -> Self {
        Self {
            quick: Crowd::new(QUICK_QUESTIONS_AT_ONCE, sharing),
            decisive: Crowd::new(DECISIVE_QUESTIONS_AT_ONCE, sharing),
            long: Crowd::new(LONG_QUESTIONS_AT_ONCE, sharing),
            heaps: Crowd::new(HEAP_TRANSFERS_AT_ONCE, sharing),
            idle: Mutex::default(),
        }
    }

    const fn crowd(&self, kind: QuestionKind) -> &Crowd {
        match kind {
            QuestionKind::Quick => &self.quick,
            QuestionKind::Decisive => &self.decisive,
            QuestionKind::Long => &self.long,
            QuestionKind::Heap => &self.heaps,
        }
    }

    fn share(&self, sharing: Sharing) {
        for crowd in [&self.quick, &self.decisive, &self.long, &self.heaps] {
            crowd.share(sharing);
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Line>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some(line) = self.line.take() else {
            return;
        };
        let mut idle = self.bundle.idle();
        idle.push(line);
        let beyond = idle.len().checked_sub(IDLE_LINES_MAX + 1);
        if let Some(line) = beyond.and_then(|at| idle.get_mut(at)) {
            line.hang_up();
        }
    }
}

#[cfg(test)]
#[path = "lines_tests.rs"]
mod tests;
