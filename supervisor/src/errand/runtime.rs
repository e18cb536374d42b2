//! What waits for something outside of it, in an errand.

use std::io;

/// Runs something to its end.
pub(crate) fn run<T>(work: impl Future<Output = T>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let done = runtime.block_on(work);
    // What it has begun and nobody waits for is left behind.
    runtime.shutdown_background();
    Ok(done)
}
