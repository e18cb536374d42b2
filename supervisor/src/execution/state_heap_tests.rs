//! Lives whose heaps are kept.

use super::*;

#[test]
fn a_heap_is_durable_before_its_end_is_written() {
    let mut life = Life::saving();
    assert_eq!(life.on(Event::HeapSaved), KILL_AND_STORE);
    // The worker is killed: what it still says, or who still asks, changes nothing.
    for later in (REPORTED..WORLDLY).chain([REAPED]) {
        assert_eq!(life.on(event(later)), NOTHING);
    }
    assert_eq!(life.on(Event::HeapStored(heap_id())), [Effect::Commit]);
    assert_eq!(life.on(Event::Committed), PUBLISH_AND_REAP);
    assert_eq!(life.heap(), Some(&HeapEnd::Kept(heap_id())));
}

#[test]
fn what_goes_wrong_with_a_heap_costs_nothing_of_the_result() {
    let cases: [(Event, &str); 6] = [
        (
            Event::HeapNotSaved {
                why: "its snapshot is too large".to_owned(),
            },
            "too large",
        ),
        (Event::Deadline, "longer than"),
        (Event::CancelAsked(CancelledBy::Client), "cancelled after"),
        (Event::CancelAsked(CancelledBy::Shutdown), "cancelled after"),
        (Event::WorkerTooLarge, "more memory"),
        (event(13), "killed while it saved"),
    ];
    for (cause, words) in cases {
        let mut life = Life::saving();
        assert_eq!(life.on(cause), KILL_AND_COMMIT);
        life.on(Event::Committed);
        let Some(HeapEnd::Lost { why }) = life.heap() else {
            panic!("{words}: {:?}", life.end())
        };
        assert!(why.contains(words), "{words} is not in: {why}");
    }
    for gone in [Event::WorkerGone, Event::WorkerBroke(LinkError::Torn)] {
        let mut life = Life::saving();
        assert_eq!(life.on(gone), [Effect::Reap]);
        let death = exit(ExitStatus::Signal(libc::SIGTRAP));
        assert_eq!(
            life.on(Event::Reaped(death, Script::MayHaveRun)),
            [Effect::Commit]
        );
        assert_eq!(life.on(Event::Committed), RELEASE_AND_PUBLISH);
        assert!(matches!(life.heap(), Some(HeapEnd::Lost { .. })));
    }
    let mut life = Life::saving();
    life.on(Event::HeapSaved);
    assert_eq!(life.on(event(NOT_STORED)), [Effect::Commit]);
    life.on(Event::Committed);
    let full = HeapEnd::Lost {
        why: "the heap was not saved, the result is not affected: the disk is full".to_owned(),
    };
    assert_eq!(life.heap(), Some(&full));
}

#[test]
fn a_script_that_failed_leaves_no_heap_to_wait_for() {
    let mut life = Life::running_of(GIVEN_A_HEAP);
    assert_eq!(life.on(event(7)), KILL_AND_COMMIT);
}

#[test]
fn without_the_heap_that_it_continues_nothing_runs() {
    let mut life = Life::of(GIVEN_A_HEAP);
    life.on(Event::SlotGranted);
    assert_eq!(life.on(event(15)), KILL_AND_COMMIT);
    life.on(Event::Committed);
    let Some(End::Failed { kind, error, .. }) = life.end() else {
        panic!("{:?}", life.end())
    };
    assert_eq!(*kind, FailureKind::Heap);
    assert!(error.contains("nothing ran: it is gone"), "{error}");
}
