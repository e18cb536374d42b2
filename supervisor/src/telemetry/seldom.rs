//! Lines that whoever calls could fill the log with.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Says when something that happens often is told again.
#[derive(Debug)]
pub(crate) struct Seldom {
    interval: Duration,
    told_at: Mutex<Option<Instant>>,
}

impl Seldom {
    /// At most once in so long.
    pub(crate) const fn every(interval: Duration) -> Self {
        Self {
            interval,
            told_at: Mutex::new(None),
        }
    }

    /// Whether it is told now; then it is not for a while.
    pub(crate) fn is_due(&self) -> bool {
        let mut told_at = self.told_at.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = told_at.is_none_or(|at| at.elapsed() >= self.interval);
        if is_due {
            *told_at = Some(Instant::now());
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_told_once_and_again_after_the_interval() {
        let interval = Duration::from_secs(10);
        let seldom = Seldom::every(interval);
        assert!(seldom.is_due());
        assert!(!seldom.is_due());
        tokio::time::advance(interval - Duration::from_millis(1)).await;
        assert!(!seldom.is_due());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(seldom.is_due());
        assert!(!seldom.is_due());
    }
}
