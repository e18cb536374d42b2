//! Whether workers can be had, by those that were asked for last.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::limits::{WORKER_TROUBLE_COUNT, WORKER_TROUBLE_MEMORY};

/// What became of the last workers. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Vitals(Arc<Last>);

#[derive(Debug, Default)]
struct Last {
    /// Those in a row that came to nothing.
    failures: AtomicU64,
    failed_at: Mutex<Option<Instant>>,
}

impl Vitals {
    /// A worker has said Hello.
    pub fn well(&self) {
        if self.0.failures.load(Ordering::Relaxed) > 0 {
            self.0.failures.store(0, Ordering::Relaxed);
        }
    }

    /// A worker came to nothing before it had a script.
    pub fn ill(&self) {
        self.0.failures.fetch_add(1, Ordering::Relaxed);
        *self.failed_at() = Some(Instant::now());
    }

    /// Whether the next worker will most likely come to nothing too. Where nobody has tried for a while
    /// it is worth another try: a server that gets no work would never find out.
    pub fn are_bad(&self) -> bool {
        if self.0.failures.load(Ordering::Relaxed) < WORKER_TROUBLE_COUNT {
            return false;
        }
        self.failed_at()
            .is_some_and(|at| at.elapsed() < WORKER_TROUBLE_MEMORY)
    }

    fn failed_at(&self) -> MutexGuard<'_, Option<Instant>> {
        let failed_at = self.0.failed_at.lock();
        failed_at.unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn some_failures_in_a_row_are_bad_for_a_while() {
        let vitals = Vitals::default();
        for _ in 0..WORKER_TROUBLE_COUNT {
            assert!(!vitals.are_bad());
            vitals.ill();
        }
        assert!(vitals.are_bad());
        advance(WORKER_TROUBLE_MEMORY).await;
        assert!(!vitals.are_bad(), "it is worth another try");
        vitals.ill();
        assert!(vitals.are_bad());
        vitals.well();
        assert!(!vitals.are_bad());
    }
}
