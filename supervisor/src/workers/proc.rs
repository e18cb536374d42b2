//! Whether `/proc` speaks of the processes that this one knows.

use std::path::Path;
use std::sync::OnceLock;

/// Whether it is that of this process's namespace: in another one the numbers of processes are other
/// ones', and what is read there is of somebody else. Looked at once: a process changes neither.
pub(super) fn is_ours() -> bool {
    static IS_OURS: OnceLock<bool> = OnceLock::new();
    *IS_OURS.get_or_init(|| {
        let own_entry = std::fs::read_link("/proc/self").unwrap_or_default();
        own_entry == Path::new(&std::process::id().to_string())
    })
}

/// Says in the log what does without, where it does not.
pub(super) fn warn_if_foreign() {
    if !is_ours() {
        tracing::warn!(
            "/proc is missing, or belongs to another process namespace: the memory of running workers \
             is not looked at, and only the kernel's limits hold; mount one of this namespace"
        );
    }
}
