//! How much is going on, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::store::Status;

/// How much is going on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    /// Executions that run.
    pub running: usize,
    /// Executions that wait for a slot.
    pub queued: usize,
    /// Executions that ended since the server was started, by how.
    pub ended: Vec<(Status, u64)>,
}

/// Executions that ended, by their last status.
#[derive(Debug, Default)]
pub(super) struct EndCounts([AtomicU64; Status::ALL.len()]);

impl EndCounts {
    /// One more that stands so; it counts only where that is an end.
    pub(super) fn count(&self, status: Status) {
        let place = Status::ALL.iter().position(|known| *known == status);
        if let Some(count) = place.and_then(|place| self.0.get(place)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The counts of all ends.
    pub(super) fn all(&self) -> Vec<(Status, u64)> {
        let counts = Status::ALL.into_iter().zip(&self.0);
        counts
            .filter(|(status, _)| status.is_end())
            .map(|(status, count)| (status, count.load(Ordering::Relaxed)))
            .collect()
    }
}
