//! What a tenant is told that has used up what it may use.

use std::fmt;
use std::time::Duration;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Quota {
    /// Executions that were accepted in the last minute.
    ExecutionsPerMinute,
    /// CPU seconds of workers in the last hour.
    CpuSecondsPerHour,
    /// MiB of output in the last hour.
    OutputMbPerHour,
    /// Requests of scripts in the last minute.
    FetchesPerMinute,
    /// MiB of heaps that are stored.
    StoredHeapMb,
}

impl Quota {
    /// Its name: that of the key in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ExecutionsPerMinute => "executions_per_minute",
            Self::CpuSecondsPerHour => "cpu_seconds_per_hour",
            Self::OutputMbPerHour => "output_mb_per_hour",
            Self::FetchesPerMinute => "fetches_per_minute",
            Self::StoredHeapMb => "stored_heap_mb",
        }
    }

    const fn unit(self) -> &'static str {
        match self {
            Self::ExecutionsPerMinute => "executions a minute",
            Self::CpuSecondsPerHour => "CPU seconds an hour",
            Self::OutputMbPerHour => "MB of output an hour",
            Self::FetchesPerMinute => "requests of scripts a minute",
            Self::StoredHeapMb => "MB of stored heaps",
        }
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A quota is used up. Its text says which one, what it is, and when there is some again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the quota {quota} is used up: {limit} {} are allowed; try again in {} s",
    .quota.unit(),
    self.retry_after_secs()
)]
pub struct Excess {
    /// Which.
    pub quota: Quota,
    /// What is allowed.
    pub limit: u64,
    /// When there is some again, if nobody else takes it.
    pub retry_after: Duration,
}

impl Excess {
    /// When there is some again, in whole seconds, at least one.
    pub fn retry_after_secs(&self) -> u64 {
        let secs = self.retry_after.as_secs();
        let has_rest = self.retry_after.subsec_nanos() > 0;
        (secs + u64::from(has_rest)).max(1)
    }
}

/// Nothing more can be stored until something stored goes, which no clock says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the quota {} is used up: {limit_mb} MB of stored heaps are allowed; heaps that no session and no \
     tag names expire by themselves, so take tags off those that are not needed, or ask the operator \
     for more",
    Quota::StoredHeapMb
)]
pub struct HeapsFull {
    /// What is allowed, in MiB.
    pub limit_mb: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_names_the_quota_and_a_time_that_is_not_too_early() {
        let excess = |millis| Excess {
            quota: Quota::ExecutionsPerMinute,
            limit: 60,
            retry_after: Duration::from_millis(millis),
        };
        assert_eq!(
            excess(11_001).to_string(),
            "the quota executions_per_minute is used up: 60 executions a minute are allowed; try \
             again in 12 s"
        );
        assert_eq!(excess(12_000).retry_after_secs(), 12);
        assert_eq!(excess(0).retry_after_secs(), 1);
    }
}
