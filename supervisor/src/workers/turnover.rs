//! When a fork server makes room for the next.

use std::time::Duration;

use crate::limits;

/// How much one memory layout is used: workers of a fork server share it, and whoever gets out of V8
/// may learn of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turnover {
    /// Workers of one fork server.
    pub forks_max: u64,
    /// How long one serves, once it has forked.
    pub age_max: Duration,
    /// The shortest time from one fork server that is started because of a suspicious death to the
    /// next such.
    pub suspicion_pause: Duration,
}

impl Default for Turnover {
    fn default() -> Self {
        Self {
            forks_max: limits::ZYGOTE_FORKS_MAX,
            age_max: limits::ZYGOTE_AGE_MAX,
            suspicion_pause: limits::SUSPICION_PAUSE,
        }
    }
}
