//! The life of an execution as a pure machine: no clock, lock, channel or await.
//!
//! ```text
//! Queued ──slot──▶ Starting ──Hello──▶ Running ──completed, heap kept──▶ Saving
//!    │                │  ▲                 │ the first of report,           │ │ saved
//!    │ cancel,        │  └─nothing read──┐ │ deadline, cancel and           │ ▼
//!    │ wait too long  │                  │ │ death gives the verdict        │ Settling: Storing
//!    │                ├──death, silence──┤ ├──death──────────┐   death, no, │ │
//!    │                │                  │ │                 ▼      too long│ │
//!    │                │ cancel,          └─│──── Settling: Reaping ◀────────┤ │
//!    │                │ no process         │ kill            │ its exit     │ │
//!    │                ▼                    ▼                 │ says why     │ │
//!    └───────────▶ Settling: Committing ◀────────────────────┴──────────────┴─┘
//!                     │ nothing is left        │ a killed process is left
//!                     ▼                        ▼
//!                   Ended, for good ◀─reaped─ Clearing: everybody sees the end
//! ```
//!
//! Every race is decided here. Each effect comes at most once, but for those of a worker that died
//! before it had read anything: the execution then begins again, with another one.
//!
//! * Once the script has completed nothing changes its result: what goes wrong with its heap afterwards
//!   is told beside it.
//! * Nobody sees an end before it is written, and before the process is dead or killed.
//! * A slot is given back when no process is left, so that there are never more workers with
//!   somebody's code than slots. The client does not wait for that: it has its answer before.

use mcp_v8_protocol::message::{Completion, Finished};
use mcp_v8_protocol::mode::Mode;

use super::event::{Effect, Event, NotReady, Script};
use super::heap_loss::HeapLoss;
use super::outcome::{Given, completed, explain, input_heap_failed, settle};
use crate::limits;
use crate::store::{CancelledBy, End, HeapEnd};
use crate::workers::LinkError;

/// Where an execution stands.
#[derive(Debug)]
pub enum State {
    /// It waits for a slot. There is no process.
    Queued,
    /// It has a slot; a process is started and asked for its Hello.
    Starting(Attempt),
    /// The script runs and the deadline is armed.
    Running(Attempt),
    /// The script has completed, and its heap is being saved.
    Saving(Box<Completion>),
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
    /// The heap has to be stored.
    Storing(Box<Completion>),
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
    /// The worker went away while it saved the heap of a script that had completed.
    LostHeap(Box<Completion>),
}

const NOTHING: &[Effect] = &[];
const KILL_AND_COMMIT: &[Effect] = &[Effect::Kill, Effect::Commit];
const KILL_AND_STORE: &[Effect] = &[Effect::Kill, Effect::StoreHeap];
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
            Self::Saving(completion) => Self::on_saving(completion, event, given),
            Self::Settling(Settling::Storing(completion)) => {
                Self::on_storing(completion, event, given)
            }
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
            | Event::InputHeapFailed { .. }
            | Event::Reported(_)
            | Event::HeapSaved
            | Event::HeapNotSaved { .. }
            | Event::HeapStored(_)
            | Event::HeapNotStored { .. }
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
            Event::InputHeapFailed { why } => (
                Self::Settling(Settling::Committing(
                    input_heap_failed(&why),
                    Remains::Killed,
                )),
                KILL_AND_COMMIT,
            ),
            Event::SlotGranted
            | Event::QueueWaitOver { .. }
            | Event::Reported(_)
            | Event::HeapSaved
            | Event::HeapNotSaved { .. }
            | Event::HeapStored(_)
            | Event::HeapNotStored { .. }
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
            Event::Reported(Finished::Completed(completion)) if given.mode == Mode::Stateful => {
                (Self::Saving(Box::new(completion)), &[Effect::AwaitHeap])
            }
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
            | Event::InputHeapFailed { .. }
            | Event::HeapSaved
            | Event::HeapNotSaved { .. }
            | Event::HeapStored(_)
            | Event::HeapNotStored { .. }
            | Event::Reaped(..)
            | Event::Committed
            | Event::CommitFailed(_) => (Self::Running(attempt), NOTHING),
        }
    }

    fn on_saving(completion: Box<Completion>, event: Event, given: Given) -> Step {
        let loss = match event {
            Event::HeapSaved => {
                return (
                    Self::Settling(Settling::Storing(completion)),
                    KILL_AND_STORE,
                );
            }
            // Its exit says what V8 could not save.
            Event::WorkerGone | Event::WorkerBroke(LinkError::Torn) => {
                let riddle = Riddle::LostHeap(completion);
                return (Self::reaping(riddle, Attempt::FIRST), &[Effect::Reap]);
            }
            Event::HeapNotSaved { why } => HeapLoss::Refused { why },
            Event::WorkerBroke(error) => HeapLoss::Broke(error),
            Event::CancelAsked(_) => HeapLoss::Cancelled,
            Event::Deadline => HeapLoss::TooSlow,
            Event::WorkerTooLarge => HeapLoss::Memory,
            Event::SlotGranted
            | Event::QueueWaitOver { .. }
            | Event::SpawnFailed(_)
            | Event::WorkerReady
            | Event::WorkerNotReady(_)
            | Event::InputHeapFailed { .. }
            | Event::Reported(_)
            | Event::HeapStored(_)
            | Event::HeapNotStored { .. }
            | Event::Reaped(..)
            | Event::Committed
            | Event::CommitFailed(_) => return (Self::Saving(completion), NOTHING),
        };
        let end = completed(*completion, loss.heap_end(given));
        (
            Self::Settling(Settling::Committing(end, Remains::Killed)),
            KILL_AND_COMMIT,
        )
    }

    fn on_storing(completion: Box<Completion>, event: Event, given: Given) -> Step {
        let heap = match event {
            Event::HeapStored(heap) => HeapEnd::Kept(heap),
            Event::HeapNotStored { why } => HeapLoss::NotStored { why }.heap_end(given),
            // The heap is there, and its worker is killed: nothing else matters.
            Event::SlotGranted
            | Event::QueueWaitOver { .. }
            | Event::SpawnFailed(_)
            | Event::WorkerReady
            | Event::WorkerNotReady(_)
            | Event::InputHeapFailed { .. }
            | Event::Reported(_)
            | Event::HeapSaved
            | Event::HeapNotSaved { .. }
            | Event::WorkerGone
            | Event::WorkerBroke(_)
            | Event::CancelAsked(_)
            | Event::Deadline
            | Event::WorkerTooLarge
            | Event::Reaped(..)
            | Event::Committed
            | Event::CommitFailed(_) => {
                return (Self::Settling(Settling::Storing(completion)), NOTHING);
            }
        };
        let end = completed(*completion, heap);
        (
            Self::Settling(Settling::Committing(end, Remains::Killed)),
            &[Effect::Commit],
        )
    }

    fn on_reaping(riddle: Riddle, attempt: Attempt, event: Event, given: Given) -> Step {
        match event {
            Event::Reaped(exit, script) => match (riddle, script, attempt.next()) {
                // Not one that broke off within a message: between Hello and its script a worker says
                // nothing, so it is none of ours, and the next would do the same.
                (Riddle::Gone, Script::Unread, Some(next)) => {
                    (Self::Starting(next), &[Effect::Launch])
                }
                (riddle, script, _) => Self::commit(explain(riddle, script, &exit, given)),
            },
            // The verdict stands, whatever comes after it.
            Event::SlotGranted
            | Event::QueueWaitOver { .. }
            | Event::SpawnFailed(_)
            | Event::WorkerReady
            | Event::WorkerNotReady(_)
            | Event::InputHeapFailed { .. }
            | Event::Reported(_)
            | Event::HeapSaved
            | Event::HeapNotSaved { .. }
            | Event::HeapStored(_)
            | Event::HeapNotStored { .. }
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
            | Event::InputHeapFailed { .. }
            | Event::Reported(_)
            | Event::HeapSaved
            | Event::HeapNotSaved { .. }
            | Event::HeapStored(_)
            | Event::HeapNotStored { .. }
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
            | Event::InputHeapFailed { .. }
            | Event::Reported(_)
            | Event::HeapSaved
            | Event::HeapNotSaved { .. }
            | Event::HeapStored(_)
            | Event::HeapNotStored { .. }
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
