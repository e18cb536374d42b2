//! Connections to other nodes for questions: as many to each as there are questions on their way, within
//! bounds.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::line::Line;
use crate::limits::{
    IDLE_LINES_MAX, LINKS_MAX, LONG_QUESTIONS_AT_ONCE, QUESTIONS_AT_ONCE, SHORT_QUESTION_WAIT_MAX,
};
use crate::raft::ids::RaftId;

/// Those to all nodes.
#[derive(Debug)]
pub(super) struct Lines {
    /// Questions to one node at once, and those of them that may take long.
    places: usize,
    long: usize,
    bundles: Mutex<BTreeMap<RaftId, Arc<Bundle>>>,
}

/// Those to one.
#[derive(Debug)]
struct Bundle {
    places: Arc<Semaphore>,
    long: Arc<Semaphore>,
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
    _places: (OwnedSemaphorePermit, Option<OwnedSemaphorePermit>),
}

impl Lines {
    /// For so many questions to one node at once, and so many among them that may take long.
    pub(super) const fn new(places: usize, long: usize) -> Self {
        Self {
            places,
            long,
            bundles: Mutex::new(BTreeMap::new()),
        }
    }

    /// Waits for a place for a question of this patience. `None` for more nodes than there are.
    pub(super) async fn place(
        &self,
        to: RaftId,
        patience: Duration,
        is_member: impl Fn(RaftId) -> bool,
    ) -> Option<Held> {
        let bundle = self.bundle(to, is_member)?;
        let is_long = patience > SHORT_QUESTION_WAIT_MAX;
        // They are never closed.
        let long = match is_long {
            true => Some(Arc::clone(&bundle.long).acquire_owned().await.ok()?),
            false => None,
        };
        let place = Arc::clone(&bundle.places).acquire_owned().await.ok()?;
        let line = bundle.idle().pop();
        Some(Held {
            line,
            bundle,
            _places: (place, long),
        })
    }

    fn bundle(&self, to: RaftId, is_member: impl Fn(RaftId) -> bool) -> Option<Arc<Bundle>> {
        let mut all = self.bundles.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bundle) = all.get(&to) {
            return Some(Arc::clone(bundle));
        }
        if all.len() >= LINKS_MAX {
            all.retain(|id, _| is_member(*id));
        }
        if all.len() >= LINKS_MAX {
            return None;
        }
        let bundle = Arc::new(Bundle {
            places: Arc::new(Semaphore::new(self.places)),
            long: Arc::new(Semaphore::new(self.long)),
            idle: Mutex::default(),
        });
        all.insert(to, Arc::clone(&bundle));
        Some(bundle)
    }

    /// Ends all connections that nothing is asked on.
    pub(super) fn close(&self) {
        let mut all = self.bundles.lock().unwrap_or_else(PoisonError::into_inner);
        all.clear();
    }
}

impl Bundle {
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

const _: () = assert!(LONG_QUESTIONS_AT_ONCE < QUESTIONS_AT_ONCE);
