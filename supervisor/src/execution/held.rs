//! The worker of an execution, as far as it has come.

use tokio::time::timeout;

use super::event::{Event, NotReady};
use crate::limits;
use crate::workers::{Begun, Errand, Process, Ready, Running, Spawned, Spawner, Spawning};

/// The worker, as far as it has come.
#[derive(Debug)]
pub(super) enum Held {
    Nothing,
    Spawning(Spawning),
    Spawned(Spawned),
    Ready(Ready),
    Running(Running),
    /// Its conversation is over. What it was given may turn out to be unread.
    Ending(Process, Option<Errand>),
}

impl Held {
    /// Keeps only the process: the conversation is over. A process that is just being started is
    /// waited for, so that it is reaped before anybody hears of the end.
    pub(super) async fn make_ending(&mut self) {
        *self = match std::mem::replace(self, Self::Nothing) {
            Self::Nothing => Self::Nothing,
            Self::Spawning(mut spawning) => {
                match timeout(limits::REAP_WAIT_MAX, spawning.started()).await {
                    Ok(Ok(begun)) => Self::Ending(begun.into_process(), None),
                    // None was started; or it takes too long, and is killed when it is.
                    Ok(Err(_)) | Err(_) => Self::Nothing,
                }
            }
            Self::Spawned(worker) => Self::Ending(worker.into_process(), None),
            Self::Ready(worker) => Self::Ending(worker.into_process(), None),
            Self::Running(worker) => {
                let (process, errand) = worker.into_process();
                Self::Ending(process, Some(errand))
            }
            Self::Ending(process, errand) => Self::Ending(process, errand),
        };
    }
}

/// Has a worker come as far as Hello.
pub(super) async fn become_ready(spawner: &Spawner, held: &mut Held) -> Event {
    if let Held::Nothing = held {
        match spawner.request() {
            Ok(spawning) => *held = Held::Spawning(spawning),
            Err(error) => return Event::SpawnFailed(error),
        }
    }
    if let Held::Spawning(spawning) = held {
        match spawning.started().await {
            Ok(Begun::Fresh(spawned)) => *held = Held::Spawned(spawned),
            Ok(Begun::Parked(ready)) => *held = Held::Ready(ready),
            Err(error) => {
                *held = Held::Nothing;
                return Event::SpawnFailed(error);
            }
        }
    }
    let Held::Spawned(worker) = held else {
        return Event::WorkerReady;
    };
    let hello = match worker.hello().await {
        Ok(hello) => hello,
        Err(error) => return Event::WorkerNotReady(NotReady::Launch(error)),
    };
    if let Held::Spawned(worker) = std::mem::replace(held, Held::Nothing) {
        *held = Held::Ready(worker.into_ready(hello));
    }
    Event::WorkerReady
}
