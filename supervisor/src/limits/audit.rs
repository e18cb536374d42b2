//! What the audit log takes.

use std::time::Duration;

use super::CONCURRENT_EXECUTIONS_MAX;

/// Events that may wait for the writer of the audit log. Each accepted execution holds a place for its
/// end from the beginning.
pub const AUDIT_QUEUE_LENGTH: usize = 16 << 10;
/// Places of them that are kept for executions: what else happens is not noted once no more are free.
pub const AUDIT_QUEUE_RESERVE: usize = 4 << 10;
/// Lines that are written, and made durable, at once.
pub const AUDIT_BATCH_LENGTH_MAX: usize = 256;
/// How long a request of a script waits for a place before it is denied.
pub const AUDIT_PLACE_WAIT_MAX: Duration = Duration::from_secs(5);
/// The pause before a batch is written again that could not be.
pub const AUDIT_RETRY_PAUSE: Duration = Duration::from_secs(1);
/// Events of one kind that are told as one line when more come: refusals and failed authentications.
pub const AUDIT_FOLD_INTERVAL: Duration = Duration::from_secs(1);
/// Kinds of such events that are kept apart at once.
pub const AUDIT_FOLDS_MAX: usize = 1024;
/// The longest text that comes from outside in a line, in bytes.
pub const AUDIT_TEXT_BYTES_MAX: usize = 256;
/// The longest line that is read, in bytes.
pub const AUDIT_LINE_BYTES_MAX: usize = 16 << 10;
/// The size at which a file of the audit log is put aside, in MiB.
pub const AUDIT_FILE_MB_DEFAULT: u64 = 64;
/// The largest such size.
pub const AUDIT_FILE_MB_MAX: u64 = 64 << 10;
/// Files of the audit log that are kept, beside the one that is written.
pub const AUDIT_FILES_DEFAULT: u64 = 16;
/// The most that are.
pub const AUDIT_FILES_MAX: u64 = 10_000;

const _: () = {
    assert!(AUDIT_QUEUE_RESERVE < AUDIT_QUEUE_LENGTH);
    // The ends of those that run and wait fit by default, and a beginning for each.
    assert!(2 * (CONCURRENT_EXECUTIONS_MAX + super::QUEUE_LENGTH_DEFAULT) < AUDIT_QUEUE_RESERVE);
};
