use mcp_v8_protocol::message::{Completion, Failure, FailureKind as Reported, Text};
use proptest::prelude::*;

use super::*;
use crate::heaps::HeapId;
use crate::store::{FailureKind, Limits, StoreError};
use crate::workers::{Exit, ExitStatus, LaunchError, SpawnError};

const GIVEN: Given = Given {
    limits: Limits {
        heap_memory_max_mb: 8,
        execution_timeout_secs: 30,
    },
    mode: Mode::Stateless,
};

const GIVEN_A_HEAP: Given = Given {
    mode: Mode::Stateful,
    ..GIVEN
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
        used: None,
        stderr_tail: String::new(),
    }
}

fn heap_id() -> HeapId {
    HeapId::of(b"a heap")
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
        13 => Event::WorkerBroke(LinkError::Io(std::io::Error::other("x"))),
        14 => Event::WorkerTooLarge,
        15 => Event::InputHeapFailed {
            why: "it is gone".to_owned(),
        },
        16 => Event::HeapSaved,
        17 => Event::HeapNotSaved {
            why: "it is not savable".to_owned(),
        },
        18 => Event::Reaped(exit(ExitStatus::Code(86)), Script::MayHaveRun),
        19 => Event::Reaped(exit(ExitStatus::Signal(9)), Script::Unread),
        20 => Event::Committed,
        21 => Event::CommitFailed(StoreError::Closed),
        22 => Event::HeapStored(heap_id()),
        _ => Event::HeapNotStored {
            why: "the disk is full".to_owned(),
        },
    }
}

/// Events up to here come from the world, the others are answers.
const WORLDLY: usize = 18;
const REAPED: usize = 18;
const REAPED_UNREAD: usize = 19;
const COMMITTED: usize = 20;
const COMMIT_FAILED: usize = 21;
const STORED: usize = 22;
const NOT_STORED: usize = 23;
const KINDS: usize = 24;
const REPORTED: usize = 6;
const GONE: usize = 8;
const CANCELLED: usize = 10;

/// What the effects have made of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Process {
    None,
    Alive,
    Killed,
}

/// A life: the machine, everything that it asked for, and what came of it.
struct Life {
    given: Given,
    state: State,
    effects: Vec<Effect>,
    process: Process,
}

impl Life {
    fn new() -> Self {
        Self::of(GIVEN)
    }

    fn of(given: Given) -> Self {
        Self {
            given,
            state: State::Queued,
            effects: Vec::new(),
            process: Process::None,
        }
    }

    /// A life whose script runs.
    fn running() -> Self {
        Self::running_of(GIVEN)
    }

    fn running_of(given: Given) -> Self {
        let mut life = Self::of(given);
        assert_eq!(life.on(Event::SlotGranted), [Effect::Launch]);
        assert_eq!(life.on(Event::WorkerReady), [Effect::Run]);
        life
    }

    /// A life whose script has completed, and whose heap is being saved.
    fn saving() -> Self {
        let mut life = Self::running_of(GIVEN_A_HEAP);
        assert_eq!(life.on(Event::Reported(completed())), [Effect::AwaitHeap]);
        life
    }

    /// What became of the heap of an execution that completed.
    fn heap(&self) -> Option<&HeapEnd> {
        match self.end() {
            Some(End::Completed { result, heap, .. }) => {
                assert_eq!(result, "42");
                Some(heap)
            }
            _ => None,
        }
    }

    /// Checks each effect against what was before it.
    fn on(&mut self, event: Event) -> &'static [Effect] {
        let state = std::mem::replace(&mut self.state, State::Queued);
        if let (State::Starting(_), Event::SpawnFailed(_)) = (&state, &event) {
            self.process = Process::None;
        }
        let (state, effects) = state.on(event, self.given);
        self.state = state;
        for effect in effects {
            self.check(*effect);
            self.effects.push(*effect);
        }
        effects
    }

    fn check(&mut self, effect: Effect) {
        match effect {
            Effect::Launch => {
                assert_eq!(self.process, Process::None, "one process at a time");
                self.process = Process::Alive;
            }
            Effect::Run | Effect::AwaitHeap => assert_eq!(self.process, Process::Alive),
            Effect::StoreHeap => assert_eq!(self.process, Process::Killed),
            Effect::Kill => {
                assert_eq!(self.process, Process::Alive);
                self.process = Process::Killed;
            }
            // The process is gone when it is answered, which is before anything else.
            Effect::Reap => {
                assert_ne!(self.process, Process::None);
                self.process = Process::None;
            }
            Effect::Commit => assert_ne!(self.process, Process::Alive),
            Effect::Publish => {
                assert_ne!(self.process, Process::Alive, "killed before it is shown");
                assert!(
                    self.count(Effect::Commit) == 1,
                    "written before it is shown"
                );
            }
            Effect::Release => assert_eq!(self.process, Process::None, "the slot comes last"),
        }
        let is_about_the_end = matches!(
            effect,
            Effect::Kill
                | Effect::AwaitHeap
                | Effect::StoreHeap
                | Effect::Commit
                | Effect::Publish
                | Effect::Release
        );
        assert!(
            !is_about_the_end || self.count(effect) == 0,
            "{effect:?} comes once"
        );
    }

    fn count(&self, effect: Effect) -> usize {
        self.effects
            .iter()
            .filter(|found| **found == effect)
            .count()
    }

    /// The end that everybody sees.
    fn end(&self) -> Option<&End> {
        match &self.state {
            State::Clearing(end) | State::Ended(end) => Some(end),
            State::Queued
            | State::Starting(_)
            | State::Running(_)
            | State::Saving(_)
            | State::Settling(_) => None,
        }
    }

    fn is_over(&self) -> bool {
        matches!(self.state, State::Ended(_))
    }
}

proptest! {
    /// Whatever happens, in whatever order: each effect is in its place (see [`Life::check`]), a
    /// shown end never changes, and once all is over nothing is done.
    #[test]
    fn effects_are_in_their_places_and_the_end_is_final(
        kinds in prop::collection::vec(0..KINDS, 0..80),
        keeps_heap in any::<bool>(),
    ) {
        let mut life = Life::of(if keeps_heap { GIVEN_A_HEAP } else { GIVEN });
        for kind in kinds {
            let shown = life.end().cloned();
            let was_over = life.is_over();
            let effects = life.on(event(kind));
            if shown.is_some() {
                prop_assert_eq!(life.end(), shown.as_ref());
            }
            if was_over {
                prop_assert_eq!(effects, NOTHING);
            }
        }
        prop_assert_eq!(life.end().is_some(), life.count(Effect::Publish) == 1);
        let attempts = usize::try_from(limits::START_ATTEMPTS_MAX).unwrap();
        prop_assert!(life.count(Effect::Launch) <= attempts);
        prop_assert!(life.count(Effect::Run) <= attempts);
    }

    /// With the answers that a driver gives, any order of events reaches exactly one end, through
    /// the commit of exactly that end; and nothing is left of it.
    #[test]
    fn any_order_of_events_reaches_exactly_one_end(
        kinds in prop::collection::vec(0..WORLDLY, 0..40),
        is_unread in any::<bool>(),
        commit_fails in any::<bool>(),
        keeps_heap in any::<bool>(),
        store_fails in any::<bool>(),
    ) {
        let mut life = Life::of(if keeps_heap { GIVEN_A_HEAP } else { GIVEN });
        let mut asked = std::collections::VecDeque::new();
        // A deadline is always armed, so that the last events come whatever else does.
        let tail = [CANCELLED; 2];
        for kind in kinds.into_iter().chain(tail) {
            asked.extend(life.on(event(kind)));
            while let Some(effect) = asked.pop_front() {
                let answer = match effect {
                    Effect::Reap if is_unread => Some(REAPED_UNREAD),
                    Effect::Reap => Some(REAPED),
                    Effect::Commit if commit_fails => Some(COMMIT_FAILED),
                    Effect::Commit => Some(COMMITTED),
                    Effect::StoreHeap if store_fails => Some(NOT_STORED),
                    Effect::StoreHeap => Some(STORED),
                    Effect::Launch
                    | Effect::Run
                    | Effect::AwaitHeap
                    | Effect::Kill
                    | Effect::Publish
                    | Effect::Release => None,
                };
                if let Some(answer) = answer {
                    asked.extend(life.on(event(answer)));
                }
            }
        }
        prop_assert!(life.is_over());
        for once in [Effect::Commit, Effect::Publish, Effect::Release] {
            prop_assert_eq!(life.count(once), 1);
        }
        prop_assert_eq!(life.process, Process::None);
    }
}

#[test]
fn the_usual_life() {
    let mut life = Life::running();
    assert_eq!(life.on(Event::Reported(completed())), KILL_AND_COMMIT);
    assert!(life.end().is_none());
    // The answer does not wait for the process, the slot does.
    assert_eq!(life.on(Event::Committed), PUBLISH_AND_REAP);
    assert_eq!(
        life.end(),
        Some(&End::Completed {
            result: "42".to_owned(),
            result_truncated: false,
            preview: "42".to_owned(),
            heap: HeapEnd::NotKept,
        })
    );
    assert!(!life.is_over());
    assert_eq!(life.on(event(REAPED)), [Effect::Release]);
    assert!(life.is_over());
}

/// The first decides: what comes after a verdict changes nothing.
#[test]
fn races_are_decided_by_the_first() {
    let firsts = [
        (REPORTED, crate::store::Status::Completed),
        (7, crate::store::Status::Failed),
        (CANCELLED, crate::store::Status::Cancelled),
        (12, crate::store::Status::TimedOut),
        (GONE, crate::store::Status::Failed),
        (9, crate::store::Status::Failed),
        (13, crate::store::Status::Failed),
        (14, crate::store::Status::Failed),
    ];
    for (first, status) in firsts {
        let mut life = Life::running();
        life.on(event(first));
        let nothing_matters = |life: &mut Life| {
            for later in REPORTED..WORLDLY {
                assert_eq!(life.on(event(later)), NOTHING);
            }
        };
        nothing_matters(&mut life);
        if let State::Settling(Settling::Reaping(..)) = life.state {
            life.on(event(REAPED));
            nothing_matters(&mut life);
        }
        life.on(Event::Committed);
        nothing_matters(&mut life);
        assert_eq!(life.end().map(End::status), Some(status));
    }
}

#[test]
fn a_dead_worker_is_reaped_without_a_kill_so_that_its_exit_tells() {
    let mut life = Life::running();
    assert_eq!(life.on(Event::WorkerGone), [Effect::Reap]);
    assert_eq!(life.on(event(REAPED)), [Effect::Commit]);
    assert_eq!(life.on(Event::Committed), RELEASE_AND_PUBLISH);
    let mut life = Life::running();
    assert_eq!(life.on(Event::WorkerBroke(LinkError::Torn)), [Effect::Reap]);
    let mut life = Life::new();
    life.on(Event::SlotGranted);
    let gone = Event::WorkerNotReady(NotReady::Launch(LaunchError::Gone));
    assert_eq!(life.on(gone), [Effect::Reap]);
}

/// A message that breaks off is explained by the death that broke it off, where that says anything.
#[test]
fn a_torn_message_is_explained_by_the_death() {
    let torn = |status| {
        let mut life = Life::running();
        life.on(Event::WorkerBroke(LinkError::Torn));
        life.on(Event::Reaped(exit(status), Script::MayHaveRun));
        life.on(Event::Committed);
        life.end().cloned().unwrap()
    };
    for (status, kind) in [
        (ExitStatus::Code(86), FailureKind::Memory),
        (ExitStatus::Signal(libc::SIGSYS), FailureKind::Sandbox),
        (ExitStatus::Code(0), FailureKind::WorkerDied),
        (ExitStatus::Severed, FailureKind::WorkerDied),
    ] {
        let End::Failed {
            kind: found, error, ..
        } = torn(status)
        else {
            panic!("it failed");
        };
        assert_eq!(found, kind, "{error}");
        let is_broken_off = matches!(status, ExitStatus::Code(0) | ExitStatus::Severed);
        assert_eq!(
            error.contains("in the middle of a message"),
            is_broken_off,
            "{error}"
        );
    }
}

/// Only what nobody has read a byte of is begun again, and not for ever.
#[test]
fn an_unread_script_is_given_to_another_worker_a_few_times() {
    let mut life = Life::running();
    for _ in 1..limits::START_ATTEMPTS_MAX {
        assert_eq!(life.on(Event::WorkerGone), [Effect::Reap]);
        assert_eq!(life.on(event(REAPED_UNREAD)), [Effect::Launch]);
        assert_eq!(life.on(Event::WorkerReady), [Effect::Run]);
    }
    assert_eq!(life.on(Event::WorkerGone), [Effect::Reap]);
    assert_eq!(life.on(event(REAPED_UNREAD)), [Effect::Commit]);
    life.on(Event::Committed);
    let End::Failed { kind, error, .. } = life.end().unwrap() else {
        panic!("it failed");
    };
    assert_eq!(*kind, FailureKind::WorkerStart);
    assert!(error.contains("nothing of it ran"), "{error}");

    let mut life = Life::running();
    life.on(Event::WorkerGone);
    assert_eq!(life.on(event(REAPED)), [Effect::Commit]);
    // Who broke the conversation gets no second worker, whatever it has read.
    let mut life = Life::running();
    life.on(Event::WorkerBroke(LinkError::Torn));
    assert_eq!(life.on(event(REAPED_UNREAD)), [Effect::Commit]);
    // Nor does one that is to end.
    let mut life = Life::running();
    assert_eq!(life.on(event(CANCELLED)), KILL_AND_COMMIT);
    assert_eq!(life.on(event(REAPED_UNREAD)), NOTHING);
}

#[test]
fn an_end_that_is_not_written_is_not_shown() {
    let mut life = Life::running();
    life.on(Event::Reported(completed()));
    life.on(Event::CommitFailed(StoreError::Closed));
    let text = life.end().and_then(End::error).unwrap();
    assert!(text.contains("could not be recorded"), "{text}");
}

#[test]
fn a_queued_execution_ends_without_a_process() {
    for first in [event(1), event(CANCELLED)] {
        let mut life = Life::new();
        assert_eq!(life.on(first), [Effect::Commit]);
        assert_eq!(life.on(Event::Committed), RELEASE_AND_PUBLISH);
        assert!(life.is_over());
    }
}

#[path = "state_heap_tests.rs"]
mod heaps;
