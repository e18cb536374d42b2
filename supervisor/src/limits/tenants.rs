//! What an operator may allow a tenant, and what the server keeps of tenants.

use std::time::Duration;

use super::{CONCURRENT_EXECUTIONS_MAX, RETENTION_AGE_DEFAULT};

/// The most executions that a tenant may be let have waiting: as many as may wait in all.
pub const TENANT_QUEUED_MAX: u64 = 10_000;
/// The largest weight of a tenant. Between the largest and the smallest lies the worst ratio of shares.
pub const TENANT_WEIGHT_MAX: u64 = 1000;
/// The weight of a tenant when nobody says.
pub const TENANT_WEIGHT_DEFAULT: u64 = 1;
/// The most executions or requests a minute that a tenant may be bounded to.
pub const TENANT_PER_MINUTE_MAX: u64 = 1_000_000;
/// The most CPU seconds an hour: all of the most cores that are thought of.
pub const TENANT_CPU_SECONDS_MAX: u64 = 60 * 60 * CONCURRENT_EXECUTIONS_MAX as u64;
/// The most MiB of heaps, or of output an hour: a tebibyte.
pub const TENANT_MB_MAX: u64 = 1 << 20;

/// Tenants whose use is remembered at once. When there are as many, the one that was idle longest is
/// forgotten.
pub const TENANTS_REMEMBERED_MAX: usize = 4096;
/// The window of quotas by the minute.
pub const MINUTE_WINDOW: Duration = Duration::from_secs(60);
/// The window of quotas by the hour.
pub const HOUR_WINDOW: Duration = Duration::from_secs(60 * 60);
/// Into how many pieces a window is cut. What was used leaves it with its piece: so late at most by one.
pub const WINDOW_PIECES: u32 = 60;

const _: () = {
    // What an hour took is read from stored executions after a restart.
    assert!(HOUR_WINDOW.as_secs() < RETENTION_AGE_DEFAULT.as_secs());
};
