//! One worker, started to see whether workers can be started at all.

use std::time::Duration;

use super::outcome::not_ready_text;
use super::state::NotReady;
use crate::limits;
use crate::workers::{Exit, SpawnError, Spawner};

/// Why no execution would get a worker.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// No process can be started.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// A process was started, and did not become ready.
    #[error("{}", not_ready_text(.why, .exit))]
    NotReady {
        /// What it did instead.
        why: NotReady,
        /// How it ended.
        exit: Exit,
    },
}

/// Starts one worker, hears its Hello, and ends it. Gives the version of its V8.
///
/// # Errors
/// [`ProbeError`], whose text says what to do.
pub async fn probe(spawner: &Spawner, hello_timeout: Duration) -> Result<String, ProbeError> {
    let mut worker = spawner.spawn().await?;
    let heard = tokio::time::timeout(hello_timeout, worker.hello()).await;
    let why = match heard {
        Ok(Ok(hello)) => {
            let ready = worker.into_ready(hello);
            let v8_version = ready.v8_version().to_owned();
            let process = ready.into_process();
            process.kill();
            process.reap(limits::EXIT_GRACE).await;
            return Ok(v8_version);
        }
        Ok(Err(error)) => NotReady::Launch(error),
        Err(_) => NotReady::Silent {
            after_ms: u64::try_from(hello_timeout.as_millis()).unwrap_or(u64::MAX),
        },
    };
    let process = worker.into_process();
    if !why.is_death() {
        process.kill();
    }
    let exit = process.reap(limits::EXIT_GRACE).await;
    Err(ProbeError::NotReady { why, exit })
}
