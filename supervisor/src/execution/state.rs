//! The life of an execution as a pure machine: no clock, lock, channel or await.
//!
//! ```text
//! Queued ──slot──▶ Starting ──Hello──▶ Running
//!    │                 │                  │   the first of report, deadline, cancel and death
//!    │ cancel,         │ cancel, death,   │   gives the verdict
//!    │ wait too long   │ no Hello         ▼
//!    │                 └────────▶ Settling: Reaping ──Reaped──┐
//!    └──────────────────────────▶ Settling: Committing ◀──────┘
//!                                      │ Committed
//!                                      ▼
//!                                    Ended, for good
//! ```
//!
//! Every race is decided here. Effects come in this order, each at most once: `Launch`, `Run`,
//! `Kill`, `Reap`, `Commit`, `Publish`.

use mcp_v8_protocol::message::Finished;

use super::outcome::{Given, explain};
use crate::store::{CancelledBy, End};
use crate::workers::{Exit, LaunchError, LinkError, SpawnError};

/// Where an execution stands.
#[derive(Debug)]
pub enum State {
    /// It waits for a slot. There is no process.
    Queued,
    /// It has a slot; a process is started and asked for its Hello.
    Starting,
    /// The script runs and the deadline is armed.
    Running,
    /// The verdict is known; the rest is clearing up.
    Settling(Settling),
    /// It is over.
    Ended(End),
}

/// What is left to do once the verdict is known.
#[derive(Debug)]
pub enum Settling {
    /// The process has to end and be reaped.
    Reaping(Verdict),
    /// The end has to be written.
    Committing(End),
}

/// What decided an execution that had a process.
#[derive(Debug)]
pub enum Verdict {
    /// The worker has reported.
    Reported(Finished),
    /// Somebody asked for its end.
    Cancelled(CancelledBy),
    /// The deadline passed.
    Deadline,
    /// The worker went away by itself.
    Gone,
    /// The worker did not become ready.
    NotReady(NotReady),
    /// The worker broke the conversation.
    Broke(LinkError),
}

/// Why a started worker was not ready.
#[derive(Debug)]
pub enum NotReady {
    /// It said nothing for too long.
    Silent {
        /// How long.
        after_ms: u64,
    },
    /// It said something wrong, or closed its pipe.
    Launch(LaunchError),
}

impl NotReady {
    /// Whether the worker died by itself: it is not killed then, since its own exit says why.
    pub fn is_death(&self) -> bool {
        match self {
            Self::Launch(LaunchError::Gone) => true,
            Self::Silent { .. }
            | Self::Launch(LaunchError::OtherVersion { .. } | LaunchError::Broken(_)) => false,
        }
    }
}

/// What can happen.
#[derive(Debug)]
pub enum Event {
    /// A slot is free.
    SlotGranted,
    /// It has waited too long for a slot.
    QueueWaitOver {
        /// How long, in seconds.
        after_secs: u64,
    },
    /// No process could be started.
    SpawnFailed(SpawnError),
    /// The worker has said the right Hello.
    WorkerReady,
    /// The worker will not become ready.
    WorkerNotReady(NotReady),
    /// The worker's last word.
    Reported(Finished),
    /// The worker closed its pipe, or died.
    WorkerGone,
    /// The worker sent something illegal.
    WorkerBroke(LinkError),
    /// Somebody asked for its end.
    CancelAsked(CancelledBy),
    /// The time is over.
    Deadline,
    /// The process is reaped.
    Reaped(Exit),
    /// The end is in the store.
    Committed,
    /// The end could not be written.
    CommitFailed(crate::store::StoreError),
}

/// What the driver has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// Start a worker and wait for its Hello.
    Launch,
    /// Send it the script and arm the deadline.
    Run,
    /// Kill it.
    Kill,
    /// Wait for its end and reap it. Answered by [`Event::Reaped`].
    Reap,
    /// Write the end. Answered by [`Event::Committed`] or [`Event::CommitFailed`].
    Commit,
    /// Free the slot and show the end to everybody.
    Publish,
}

const NOTHING: &[Effect] = &[];
const KILL_AND_REAP: &[Effect] = &[Effect::Kill, Effect::Reap];

impl State {
    /// The state after an event, and what is to be done, in this order. `given` is what the
    /// execution was given; it only shapes texts.
    #[must_use]
    pub fn on(self, event: Event, given: Given) -> (Self, &'static [Effect]) {
        match self {
            Self::Queued => Self::on_queued(event),
            Self::Starting => Self::on_starting(event),
            Self::Running => Self::on_running(event),
            Self::Settling(Settling::Reaping(verdict)) => Self::on_reaping(verdict, event, given),
            Self::Settling(Settling::Committing(end)) => Self::on_committing(end, event),
            Self::Ended(end) => (Self::Ended(end), NOTHING),
        }
    }

    fn on_queued(event: Event) -> (Self, &'static [Effect]) {
        match event {
            Event::SlotGranted => (Self::Starting, &[Effect::Launch]),
            Event::CancelAsked(by) => Self::commit(End::Cancelled { by }),
            Event::QueueWaitOver { after_secs } => {
                Self::commit(super::outcome::queue_wait_over(after_secs))
            }
            Event::SpawnFailed(_)
            | Event::WorkerReady
            | Event::WorkerNotReady(_)
            | Event::Reported(_)
            | Event::WorkerGone
            | Event::WorkerBroke(_)
            | Event::Deadline
            | Event::Reaped(_)
            | Event::Committed
            | Event::CommitFailed(_) => (Self::Queued, NOTHING),
        }
    }

    fn on_starting(event: Event) -> (Self, &'static [Effect]) {
        match event {
            Event::WorkerReady => (Self::Running, &[Effect::Run]),
            Event::SpawnFailed(error) => Self::commit(super::outcome::spawn_failed(&error)),
            Event::CancelAsked(by) => Self::end_process(Verdict::Cancelled(by)),
            Event::WorkerNotReady(why) if why.is_death() => {
                (Self::reaping(Verdict::NotReady(why)), &[Effect::Reap])
            }
            Event::WorkerNotReady(why) => Self::end_process(Verdict::NotReady(why)),
            Event::SlotGranted
            | Event::QueueWaitOver { .. }
            | Event::Reported(_)
            | Event::WorkerGone
            | Event::WorkerBroke(_)
            | Event::Deadline
            | Event::Reaped(_)
            | Event::Committed
            | Event::CommitFailed(_) => (Self::Starting, NOTHING),
        }
    }

    fn on_running(event: Event) -> (Self, &'static [Effect]) {
        match event {
            Event::Reported(finished) => Self::end_process(Verdict::Reported(finished)),
            Event::CancelAsked(by) => Self::end_process(Verdict::Cancelled(by)),
            Event::Deadline => Self::end_process(Verdict::Deadline),
            Event::WorkerBroke(error) => Self::end_process(Verdict::Broke(error)),
            // A dead worker is not killed: its own exit says why it died.
            Event::WorkerGone => (Self::reaping(Verdict::Gone), &[Effect::Reap]),
            Event::SlotGranted
            | Event::QueueWaitOver { .. }
            | Event::SpawnFailed(_)
            | Event::WorkerReady
            | Event::WorkerNotReady(_)
            | Event::Reaped(_)
            | Event::Committed
            | Event::CommitFailed(_) => (Self::Running, NOTHING),
        }
    }

    fn on_reaping(verdict: Verdict, event: Event, given: Given) -> (Self, &'static [Effect]) {
        match event {
            Event::Reaped(exit) => Self::commit(explain(verdict, &exit, given)),
            // The verdict stands, whatever comes after it.
            Event::SlotGranted
            | Event::QueueWaitOver { .. }
            | Event::SpawnFailed(_)
            | Event::WorkerReady
            | Event::WorkerNotReady(_)
            | Event::Reported(_)
            | Event::WorkerGone
            | Event::WorkerBroke(_)
            | Event::CancelAsked(_)
            | Event::Deadline
            | Event::Committed
            | Event::CommitFailed(_) => (Self::reaping(verdict), NOTHING),
        }
    }

    fn on_committing(end: End, event: Event) -> (Self, &'static [Effect]) {
        match event {
            Event::Committed => (Self::Ended(end), &[Effect::Publish]),
            // Nobody may see an end that is not written: it would be another one after a restart.
            Event::CommitFailed(error) => (
                Self::Ended(super::outcome::not_recorded(&error)),
                &[Effect::Publish],
            ),
            Event::SlotGranted
            | Event::QueueWaitOver { .. }
            | Event::SpawnFailed(_)
            | Event::WorkerReady
            | Event::WorkerNotReady(_)
            | Event::Reported(_)
            | Event::WorkerGone
            | Event::WorkerBroke(_)
            | Event::CancelAsked(_)
            | Event::Deadline
            | Event::Reaped(_) => (Self::Settling(Settling::Committing(end)), NOTHING),
        }
    }

    fn reaping(verdict: Verdict) -> Self {
        Self::Settling(Settling::Reaping(verdict))
    }

    fn end_process(verdict: Verdict) -> (Self, &'static [Effect]) {
        (Self::reaping(verdict), KILL_AND_REAP)
    }

    fn commit(end: End) -> (Self, &'static [Effect]) {
        (Self::Settling(Settling::Committing(end)), &[Effect::Commit])
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
