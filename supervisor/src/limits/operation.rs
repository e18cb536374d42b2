//! The limits of what operators watch.

use std::time::Duration;

/// Tenants that have series of their own among the figures; all others share one.
pub const METRICS_TENANTS_MAX: usize = 32;

/// Spans that wait to be sent; those beyond are dropped.
pub const SPANS_QUEUED_MAX: usize = 4096;
/// Spans that are sent at once.
pub const SPANS_AT_ONCE_MAX: usize = 512;
/// How long finished spans wait for others to be sent with.
pub const SPANS_LINGER: Duration = Duration::from_secs(1);
/// How long a collector may take to take spans.
pub const SPANS_WAIT_MAX: Duration = Duration::from_secs(5);
/// The largest answer of a collector, in bytes.
pub const SPANS_ANSWER_BYTES_MAX: usize = 64 << 10;
/// How long the last spans may take to be sent when the server ends.
pub const SPANS_LAST_WAIT_MAX: Duration = Duration::from_secs(2);
/// How often it is logged that a collector takes no spans.
pub const SPANS_COMPLAINT_INTERVAL: Duration = Duration::from_secs(60);
/// The largest file with headers for a collector, in bytes.
pub const SPANS_HEADERS_BYTES_MAX: u64 = 64 << 10;

/// Free space below which a server is not ready, in bytes.
pub const DISK_FREE_BYTES_MIN: u64 = 32 << 20;
/// How long an answer about the disk is good for.
pub const DISK_LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How long the file system may take to say how full it is.
pub const DISK_LOOK_WAIT_MAX: Duration = Duration::from_secs(2);

/// Workers in a row that come to nothing before a server is not ready.
pub const WORKER_TROUBLE_COUNT: u64 = 3;
/// How long they count.
pub const WORKER_TROUBLE_MEMORY: Duration = Duration::from_secs(60);
