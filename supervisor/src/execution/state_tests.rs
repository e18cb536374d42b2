use std::time::Duration;

use mcp_v8_protocol::message::{Completion, Failure, FailureKind as Reported, Text};
use proptest::prelude::*;

use super::*;
use crate::store::{Limits, StoreError};
use crate::workers::ExitStatus;

const GIVEN: Given = Given {
    limits: Limits {
        heap_memory_max_mb: 8,
        execution_timeout_secs: 30,
    },
};

fn text(text: &str) -> Text {
    Text {
        text: text.to_owned(),
        truncated: false,
    }
}

fn completed() -> Finished {
    Finished::Completed(Completion {
        result: text("42"),
        preview: text("42"),
    })
}

fn exit(status: ExitStatus) -> Exit {
    Exit {
        status,
        cpu: Duration::ZERO,
        stderr_tail: String::new(),
    }
}

/// Every kind of event, by number.
fn event(kind: usize) -> Event {
    match kind % KINDS {
        0 => Event::SlotGranted,
        1 => Event::QueueWaitOver { after_secs: 600 },
        2 => Event::SpawnFailed(SpawnError::Stopped),
        3 => Event::WorkerReady,
        4 => Event::WorkerNotReady(NotReady::Silent { after_ms: 10_000 }),
        5 => Event::WorkerNotReady(NotReady::Launch(LaunchError::Gone)),
        6 => Event::Reported(completed()),
        7 => Event::Reported(Finished::Failed(Failure {
            kind: Reported::Exception,
            error: text("Error: x"),
        })),
        8 => Event::WorkerGone,
        9 => Event::WorkerBroke(LinkError::Torn),
        10 => Event::CancelAsked(CancelledBy::Client),
        11 => Event::CancelAsked(CancelledBy::Shutdown),
        12 => Event::Deadline,
        13 => Event::Reaped(exit(ExitStatus::Code(86))),
        14 => Event::Reaped(exit(ExitStatus::Signal(9))),
        15 => Event::Committed,
        _ => Event::CommitFailed(StoreError::Closed),
    }
}

const KINDS: usize = 17;

/// A life: the machine, and everything that it asked for.
struct Life {
    state: State,
    effects: Vec<Effect>,
}

impl Life {
    fn new() -> Self {
        Self {
            state: State::Queued,
            effects: Vec::new(),
        }
    }

    fn on(&mut self, event: Event) -> &'static [Effect] {
        let state = std::mem::replace(&mut self.state, State::Queued);
        let (state, effects) = state.on(event, GIVEN);
        self.state = state;
        self.effects.extend(effects);
        effects
    }

    fn end(&self) -> Option<&End> {
        match &self.state {
            State::Ended(end) => Some(end),
            State::Queued | State::Starting | State::Running | State::Settling(_) => None,
        }
    }
}

proptest! {
    /// Whatever happens, in whatever order: each effect at most once and in order, and once it has
    /// ended, nothing changes and nothing is done.
    #[test]
    fn effects_come_once_and_in_order_and_the_end_is_final(
        kinds in prop::collection::vec(0..KINDS, 0..60)
    ) {
        let mut life = Life::new();
        let mut end = None;
        for kind in kinds {
            let effects = life.on(event(kind));
            if let Some(end) = &end {
                prop_assert_eq!(effects, NOTHING);
                prop_assert_eq!(life.end(), Some(end));
            }
            end = life.end().cloned();
        }
        let mut sorted = life.effects.clone();
        sorted.sort_unstable();
        sorted.dedup();
        prop_assert_eq!(&sorted, &life.effects);
        prop_assert_eq!(end.is_some(), life.effects.contains(&Effect::Publish));
    }

    /// With the answers that a driver gives, any order of events reaches exactly one end, through
    /// the commit of exactly that end; and a process that was started is reaped.
    #[test]
    fn any_order_of_events_reaches_exactly_one_end(
        kinds in prop::collection::vec(0..13usize, 0..40),
        commit_fails in any::<bool>(),
    ) {
        let mut life = Life::new();
        let mut answers = Vec::new();
        // A deadline is always armed, so that the last events come whatever else does.
        let tail = [10, 10];
        for kind in kinds.into_iter().chain(tail) {
            let effects = life.on(event(kind));
            answers.extend(effects.iter().copied());
            while let Some(effect) = (!answers.is_empty()).then(|| answers.remove(0)) {
                let answer = match effect {
                    Effect::Reap => Some(event(13)),
                    Effect::Commit if commit_fails => Some(event(16)),
                    Effect::Commit => {
                        prop_assert!(matches!(
                            life.state,
                            State::Settling(Settling::Committing(_))
                        ));
                        Some(event(15))
                    }
                    Effect::Launch | Effect::Run | Effect::Kill | Effect::Publish => None,
                };
                if let Some(answer) = answer {
                    answers.extend(life.on(answer).iter().copied());
                }
            }
        }
        prop_assert!(life.end().is_some());
        let count = |effect| life.effects.iter().filter(|found| **found == effect).count();
        prop_assert_eq!(count(Effect::Publish), 1);
        prop_assert_eq!(count(Effect::Commit), 1);
        // A process that was ready, or told to run, is reaped before the end is written.
        if count(Effect::Run) == 1 {
            prop_assert_eq!(count(Effect::Reap), 1);
        }
    }
}

#[test]
fn the_usual_life() {
    let mut life = Life::new();
    assert_eq!(life.on(Event::SlotGranted), [Effect::Launch]);
    assert_eq!(life.on(Event::WorkerReady), [Effect::Run]);
    assert_eq!(life.on(Event::Reported(completed())), KILL_AND_REAP);
    let reaped = Event::Reaped(exit(ExitStatus::Signal(9)));
    assert_eq!(life.on(reaped), [Effect::Commit]);
    assert!(life.end().is_none());
    assert_eq!(life.on(Event::Committed), [Effect::Publish]);
    assert_eq!(
        life.end(),
        Some(&End::Completed {
            result: "42".to_owned(),
            result_truncated: false,
            preview: "42".to_owned(),
        })
    );
}

/// The first decides: what comes after a verdict changes nothing.
#[test]
fn races_are_decided_by_the_first() {
    let firsts = [
        (event(6), crate::store::Status::Completed),
        (event(7), crate::store::Status::Failed),
        (event(10), crate::store::Status::Cancelled),
        (event(12), crate::store::Status::TimedOut),
        (event(8), crate::store::Status::Failed),
        (event(9), crate::store::Status::Failed),
    ];
    for (first, status) in firsts {
        let mut life = Life::new();
        life.on(Event::SlotGranted);
        life.on(Event::WorkerReady);
        life.on(first);
        for later in [6, 7, 8, 9, 10, 11, 12] {
            assert_eq!(life.on(event(later)), NOTHING);
        }
        life.on(event(13));
        for later in [6, 7, 8, 9, 10, 11, 12] {
            assert_eq!(life.on(event(later)), NOTHING);
        }
        life.on(Event::Committed);
        assert_eq!(life.end().map(End::status), Some(status));
    }
}

#[test]
fn a_dead_worker_is_reaped_without_a_kill_so_that_its_exit_tells() {
    let mut life = Life::new();
    life.on(Event::SlotGranted);
    life.on(Event::WorkerReady);
    assert_eq!(life.on(Event::WorkerGone), [Effect::Reap]);
    let mut life = Life::new();
    life.on(Event::SlotGranted);
    let gone = Event::WorkerNotReady(NotReady::Launch(LaunchError::Gone));
    assert_eq!(life.on(gone), [Effect::Reap]);
}

#[test]
fn an_end_that_is_not_written_is_not_shown() {
    let mut life = Life::new();
    life.on(Event::SlotGranted);
    life.on(Event::WorkerReady);
    life.on(Event::Reported(completed()));
    life.on(event(13));
    life.on(Event::CommitFailed(StoreError::Closed));
    let text = life.end().and_then(End::error).unwrap();
    assert!(text.contains("could not be recorded"), "{text}");
}

#[test]
fn a_queued_execution_ends_without_a_process() {
    for first in [event(1), event(10)] {
        let mut life = Life::new();
        assert_eq!(life.on(first), [Effect::Commit]);
        assert_eq!(life.on(Event::Committed), [Effect::Publish]);
        assert_eq!(life.effects, [Effect::Commit, Effect::Publish]);
    }
}
