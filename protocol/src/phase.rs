//! Which message is legal now.
//!
//! ```text
//! Booting ──Hello──▶ Parked ──Start──▶ Running ──Finished──▶ Done
//!                       │              │     ▲                ▲ ▲
//!                       │              └─Console, Fetch       │ └──────Saved, Unsaved───┐
//!                       └────Start─▶ RunningToSave ──Finished(Failed)                   │
//!                        (heap kept)   │   │    ▲                                       │
//!                                      │   └─Console, Fetch                             │
//!                                      └────────Finished(Completed)──────────▶ Saving ──┘
//! ```
//!
//! Fetch goes both ways while the script runs; what its steps mean for each exchange is told in
//! [`crate::fetch`]. A reply to a worker that has finished is not sent any more: what was on its way
//! is not read.
//!
//! Both ends run the same machine over everything that they send and receive. The supervisor kills a
//! worker at the first [`Violation`]; the worker exits with [`crate::exit::ExitCode::Protocol`].

use crate::message::{Finished, FromWorker, HeapUse, ToWorker};

/// Where the conversation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The worker has not said Hello.
    Booting,
    /// Confined and ready; no user byte has been sent.
    Parked,
    /// The script runs. Its heap is thrown away.
    Running,
    /// The script runs. Its heap is saved if it completes.
    RunningToSave,
    /// The script has completed, and its heap is being saved.
    Saving,
    /// The worker has said its last word.
    Done,
}

/// A message that is not legal in its phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{message} is not legal while {phase:?}")]
pub struct Violation {
    /// The phase that it came in.
    pub phase: Phase,
    /// The name of the message.
    pub message: &'static str,
}

impl Phase {
    /// The phase after a message from the worker.
    ///
    /// # Errors
    /// [`Violation`] when the message is not legal now; the conversation is over then.
    pub const fn on_from_worker(self, message: &FromWorker) -> Result<Self, Violation> {
        match (self, message) {
            (Self::Booting, FromWorker::Hello(_)) => Ok(Self::Parked),
            (Self::Running, FromWorker::Console(_) | FromWorker::Fetch(_)) => Ok(Self::Running),
            (Self::Running, FromWorker::Finished(_))
            | (Self::RunningToSave, FromWorker::Finished(Finished::Failed(_)))
            | (Self::Saving, FromWorker::Saved(_) | FromWorker::Unsaved(_)) => Ok(Self::Done),
            (Self::RunningToSave, FromWorker::Console(_) | FromWorker::Fetch(_)) => {
                Ok(Self::RunningToSave)
            }
            (Self::RunningToSave, FromWorker::Finished(Finished::Completed(_))) => Ok(Self::Saving),
            (
                Self::Booting
                | Self::Parked
                | Self::Running
                | Self::RunningToSave
                | Self::Saving
                | Self::Done,
                _,
            ) => Err(Violation {
                phase: self,
                message: message.name(),
            }),
        }
    }

    /// The phase after a message to the worker.
    ///
    /// # Errors
    /// [`Violation`] when the message is not legal now; the conversation is over then.
    pub const fn on_to_worker(self, message: &ToWorker) -> Result<Self, Violation> {
        match (self, message) {
            (Self::Parked, ToWorker::Start(start)) => Ok(match start.heap {
                HeapUse::Discard => Self::Running,
                HeapUse::New | HeapUse::Continue { .. } => Self::RunningToSave,
            }),
            (Self::Running | Self::RunningToSave, ToWorker::Fetch(_)) => Ok(self),
            (
                Self::Booting
                | Self::Parked
                | Self::Running
                | Self::RunningToSave
                | Self::Saving
                | Self::Done,
                _,
            ) => Err(Violation {
                phase: self,
                message: message.name(),
            }),
        }
    }
}

impl FromWorker {
    /// The name of the message, for errors and traces.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Hello(_) => "Hello",
            Self::Console(_) => "Console",
            Self::Fetch(_) => "Fetch",
            Self::Finished(_) => "Finished",
            Self::Saved(_) => "Saved",
            Self::Unsaved(_) => "Unsaved",
        }
    }
}

impl ToWorker {
    /// The name of the message, for errors and traces.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Start(_) => "Start",
            Self::Fetch(_) => "Fetch",
        }
    }
}
