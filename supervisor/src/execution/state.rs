//! The life of an execution as a pure machine: no clock, lock, channel or await.
//!
//! ```text
//! Queued ──slot──▶ Starting ──Hello──▶ Running
//!    │                │  ▲                 │ the first of report, deadline, cancel and death
//!    │ cancel,        │  └─nothing read──┐ │ gives the verdict
//!    │ wait too long  │                  │ │
//!    │                ├──death, silence──┤ ├──death──────────┐
//!    │                │                  │ │                 ▼
//!    │                │ cancel,          └─│──── Settling: Reaping
//!    │                │ no process         │ kill            │ its exit says why
//!    │                ▼                    ▼                 │
//!    └───────────▶ Settling: Committing ◀────────────────────┘
//!                     │ nothing is left        │ a killed process is left
//!                     ▼                        ▼
//!                   Ended, for good ◀─reaped─ Clearing: everybody sees the end
//! ```
//!
//! Every race is decided here. Each effect comes at most once, but for those of a worker that died
//! before it had read anything: the execution then begins again, with another one.
//!
//! * Nobody sees an end before it is written, and before the process is dead or killed.
//! * A slot is given back when no process is left, so that there are never more workers with
//!   somebody's code than slots. The client does not wait for that: it has its answer before.

use mcp_v8_protocol::message::Finished;

use super::outcome::{Given, explain, settle};
use crate::limits;
use crate::store::{CancelledBy, End};
use crate::workers::{Exit, LaunchError, LinkError, SpawnError};

/// Where an execution stands.
#[derive(Debug)]
pub enum State {
    /// It waits for a slot. There is no process.
    Queued,
    /// It has a slot; a process is started and asked for its Hello.
    Starting(Attempt),
    /// The script runs and the deadline is armed.
    Running(Attempt),
    /// The verdict is known; the rest is clearing up.
    Settling(Settling),
    /// It is over, and everybody knows. Its process is killed, but not reaped.
    Clearing(End),
    /// It is over, and nothing is left of it.
    Ended(End),
}

/// What is left to do once the verdict is known.
#[derive(Debug)]
pub enum Settling {
    /// The process has to end and be reaped: how it ended belongs to the end.
    Reaping(Riddle, Attempt),
    /// The end has to be written.
    Committing(End, Remains),
}

/// What is left of the process while the end is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remains {
    /// There was none, or it is reaped.
    Nothing,
    /// It is killed, but not reaped.
    Killed,
}

/// Which worker it is that the execution is given to, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt(u32);

impl Attempt {
    /// The first.
    pub const FIRST: Self = Self(1);

    /// The next, if there may be one more.
    fn next(self) -> Option<Self> {
        (self.0 < limits::START_ATTEMPTS_MAX).then_some(Self(self.0 + 1))
    }
}

/// What decides an execution whatever its process does afterwards.
#[derive(Debug)]
pub enum Verdict {
    /// The worker has reported.
    Reported(Finished),
    /// Somebody asked for its end.
    Cancelled(CancelledBy),
    /// The deadline passed.
    Deadline,
    /// The worker has more memory than it can have by fair means.
    TooLarge,
    /// The worker broke the conversation.
    Broke(LinkError),
}

/// What only the end of the process explains.
#[derive(Debug)]
pub enum Riddle {
    /// The worker went away by itself.
    Gone,
    /// It went away in the middle of a message.
    Torn,
    /// The worker did not become ready.
    NotReady(NotReady),
}

/// What a worker that has ended had of the script that it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Script {
    /// Nothing, for certain: another worker may have it.
    Unread,
    /// A byte of it at least, as far as we know: it may have run.
    MayHaveRun,
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
            | Self::Launch(
                LaunchError::OtherVersion { .. }
                | LaunchError::Unconfined { .. }
                | LaunchError::Broken(_),
            ) => false,
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
    /// The worker was found with more memory than it may have.
    WorkerTooLarge,
    /// The process is reaped.
    Reaped(Exit, Script),
    /// The end is in the store.
    Committed,
    /// The end could not be written.
    CommitFailed(crate::store::StoreError),
}

/// What the driver has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// Show the end to everybody.
    Publish,
    /// Give back the slot, or the place in the queue.
    Release,
}

const NOTHING: &[Effect] = &[];
const KILL_AND_COMMIT: &[Effect] = &[Effect::Kill, Effect::Commit];
const KILL_AND_REAP: &[Effect] = &[Effect::Kill, Effect::Reap];
/// Whoever sees the end may count on the slot.
const RELEASE_AND_PUBLISH: &[Effect] = &[Effect::Release, Effect::Publish];
const PUBLISH_AND_REAP: &[Effect] = &[Effect::Publish, Effect::Reap];

/// A state, and what is to be done, in this order.
type Step = (State, &'static [Effect]);

impl State {
    /// The state after an event, and what is to be done, in this order. `given` is what the
    /// execution was given; it only shapes texts.
    #[must_use]
    pub fn on(self, event: Event, given: Given) -> Step {
        match self {
            Self::Queued => Self::on_queued(event),
            Self::Starting(attempt) => Self::on_starting(attempt, event, given),
            Self::Running(attempt) => Self::on_running(attempt, event, given),
            Self::Settling(Settling::Reaping(riddle, attempt)) => {
                Self::on_reaping(riddle, attempt, event, given)
            }
            Self::Settling(Settling::Committing(end, remains)) => {
                Self::on_committing(end, remains, event)
            }
            Self::Clearing(end) => Self::on_clearing(end, &event),
            Self::Ended(end) => (Self::Ended(end), NOTHING),
        }
    }

    fn on_queued(event: Event) -> Step {
        match event {
            Event::SlotGranted => (Self::Starting(Attempt::FIRST), &[Effect::Launch]),
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
            | Event::WorkerTooLarge
            | Event::Reaped(..)
            | Event::Committed
            | Event::CommitFailed(_) => (Self::Queued, NOTHING),
        }
    }

    fn on_starting(attempt: Attempt, event: Event, given: Given) -> Step {
        match event {
            Event::WorkerReady => (Self::Running(attempt), &[Effect::Run]),
            Event::SpawnFailed(error) => Self::commit(super::outcome::spawn_failed(&error)),
            Event::CancelAsked(by) => Self::end_process(Verdict::Cancelled(by), given),
            Event::WorkerNotReady(why) => {
                let effects = if why.is_death() {
                    &[Effect::Reap]
                } else {
                    KILL_AND_REAP
                };
                (Self::reaping(Riddle::NotReady(why), attempt), effects)
            }
            Event::SlotGranted
            | Event::QueueWaitOver { .. }
            | Event::Reported(_)
            | Event::WorkerGone
            | Event::WorkerBroke(_)
            | Event::Deadline
            | Event::WorkerTooLarge
            | Event::Reaped(..)
            | Event::Committed
            | Event::CommitFailed(_) => (Self::Starting(attempt), NOTHING),
        }
    }

    fn on_running(attempt: Attempt, event: Event, given: Given) -> Step {
        match event {
            Event::Reported(finished) => Self::end_process(Verdict::Reported(finished), given),
            Event::CancelAsked(by) => Self::end_process(Verdict::Cancelled(by), given),
            Event::Deadline => Self::end_process(Verdict::Deadline, given),
            Event::WorkerTooLarge => Self::end_process(Verdict::TooLarge, given),
            // A dead worker is not killed: its own exit says why it died.
            Event::WorkerGone => (Self::reaping(Riddle::Gone, attempt), &[Effect::Reap]),
            Event::WorkerBroke(LinkError::Torn) => {
                (Self::reaping(Riddle::Torn, attempt), &[Effect::Reap])
            }
            Event::WorkerBroke(error) => Self::end_process(Verdict::Broke(error), given),
            Event::SlotGranted
            | Event::QueueWaitOver { .. }
            | Event::SpawnFailed(_)
            | Event::WorkerReady
            | Event::WorkerNotReady(_)
            | Event::Reaped(..)
            | Event::Committed
            | Event::CommitFailed(_) => (Self::Running(attempt), NOTHING),
        }
    }

    fn on_reaping(riddle: Riddle, attempt: Attempt, event: Event, given: Given) -> Step {
        match event {
            Event::Reaped(exit, script) => match (&riddle, script, attempt.next()) {
                // Not one that broke off within a message: between Hello and its script a worker says
                // nothing, so it is none of ours, and the next would do the same.
                (Riddle::Gone, Script::Unread, Some(next)) => {
                    (Self::Starting(next), &[Effect::Launch])
                }
                _ => Self::commit(explain(&riddle, script, &exit, given)),
            },
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
            | Event::WorkerTooLarge
            | Event::Committed
            | Event::CommitFailed(_) => (Self::reaping(riddle, attempt), NOTHING),
        }
    }

    fn on_committing(end: End, remains: Remains, event: Event) -> Step {
        match event {
            Event::Committed => Self::show(end, remains),
            // Nobody may see an end that is not written: it would be another one after a restart.
            Event::CommitFailed(error) => Self::show(super::outcome::not_recorded(&error), remains),
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
            | Event::WorkerTooLarge
            | Event::Reaped(..) => (Self::Settling(Settling::Committing(end, remains)), NOTHING),
        }
    }

    fn on_clearing(end: End, event: &Event) -> Step {
        match event {
            Event::Reaped(..) => (Self::Ended(end), &[Effect::Release]),
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
            | Event::WorkerTooLarge
            | Event::Committed
            | Event::CommitFailed(_) => (Self::Clearing(end), NOTHING),
        }
    }

    fn reaping(riddle: Riddle, attempt: Attempt) -> Self {
        Self::Settling(Settling::Reaping(riddle, attempt))
    }

    /// What the kill does is certain: nobody has to wait until it is done.
    fn end_process(verdict: Verdict, given: Given) -> Step {
        let end = settle(verdict, given);
        (
            Self::Settling(Settling::Committing(end, Remains::Killed)),
            KILL_AND_COMMIT,
        )
    }

    fn commit(end: End) -> Step {
        (
            Self::Settling(Settling::Committing(end, Remains::Nothing)),
            &[Effect::Commit],
        )
    }

    fn show(end: End, remains: Remains) -> Step {
        match remains {
            Remains::Nothing => (Self::Ended(end), RELEASE_AND_PUBLISH),
            Remains::Killed => (Self::Clearing(end), PUBLISH_AND_REAP),
        }
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
