//! One worker, started to see whether workers can be started at all.

use std::time::Duration;

use mcp_v8_protocol::message::Confinement;

use super::event::NotReady;
use super::outcome::not_ready_text;
use crate::limits;
use crate::workers::{Begun, Engine, Exit, Ready, SpawnError, Spawner};

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

/// What workers on this machine are like.
#[derive(Debug, Clone)]
pub struct Probed {
    /// What their runtime is.
    pub engine: Engine,
    /// What confines them, in the words of one that has seen nobody's code.
    pub confinement: Confinement,
}

/// Starts one worker, hears its Hello, and ends it.
///
/// # Errors
/// [`ProbeError`], whose text says what to do.
pub async fn probe(spawner: &Spawner, hello_timeout: Duration) -> Result<Probed, ProbeError> {
    Ok(end(ready(spawner, hello_timeout).await?).await)
}

/// Starts one worker, and hears its Hello.
///
/// # Errors
/// [`ProbeError`], whose text says what to do.
pub(super) async fn ready(spawner: &Spawner, hello_timeout: Duration) -> Result<Ready, ProbeError> {
    let mut worker = match spawner.spawn().await? {
        Begun::Fresh(worker) => worker,
        Begun::Parked(ready) => return Ok(ready),
    };
    let heard = tokio::time::timeout(hello_timeout, worker.hello()).await;
    let why = match heard {
        Ok(Ok(hello)) => return Ok(worker.into_ready(hello)),
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

/// Ends a worker that is ready, and gives what it said.
async fn end(ready: Ready) -> Probed {
    let probed = Probed {
        engine: ready.engine().clone(),
        confinement: ready.confinement(),
    };
    let process = ready.into_process();
    process.kill();
    process.reap(limits::EXIT_GRACE).await;
    probed
}
