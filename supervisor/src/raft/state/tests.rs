//! What commands do, once.

use bytes::Bytes;
use raft::eraftpb::ConfState;

use super::super::command::{
    Command, CursorKey, Ended, Execution, Kept, Outcome, Retag, TagChange, decode, encode,
};
use super::super::ids::{Incarnation, RaftId, RequestId};
use super::super::log::Position;
use super::super::request::{Member, MemberChange};
use super::{ApplyError, Item, MemoryState, State, Ticket, What, apply};
use crate::limits::DEDUP_ENTRIES;

const TENANT: &str = "t";
const HEAP: [u8; 32] = [9; 32];

fn id(number: u64) -> RaftId {
    RaftId::from_u64(number).unwrap()
}

fn execution(number: u8, session: Option<&str>) -> Execution {
    Execution {
        id: [number; 16],
        tenant: TENANT.to_owned(),
        owner: id(1),
        session: session.map(str::to_owned),
        input_heap: None,
        submitted_us: 1,
        source_bytes: 3,
        heap_memory_max_mb: 8,
        execution_timeout_secs: 30,
        started_us: Some(2),
        output_bytes: 0,
        output_truncated: false,
        usage: None,
        end: None,
    }
}

fn ended(number: u8, session: Option<&str>) -> Command {
    let mut execution = execution(number, session);
    let completed = Ended::Completed {
        result: "1".to_owned(),
        result_truncated: false,
        preview: "1".to_owned(),
        heap: Ok(Some(HEAP)),
    };
    execution.end = Some((i64::from(number), completed));
    let kept = Kept {
        heap: HEAP,
        stored_bytes: 10,
        code: format!("code {number}"),
        tags: Vec::new(),
    };
    Command::End(Box::new(execution), Some(Box::new(kept)))
}

fn retag(change: TagChange) -> Command {
    Command::Retag(Box::new(Retag {
        tenant: TENANT.to_owned(),
        heap: HEAP,
        change,
        at_us: 50,
    }))
}

/// A state with a log that is written entry by entry.
struct Log {
    state: MemoryState,
    requests: u8,
}

impl Log {
    fn new() -> Self {
        let mut conf = ConfState::default();
        conf.set_voters(vec![1]);
        Self {
            state: MemoryState::first(Vec::new(), &conf),
            requests: 0,
        }
    }

    fn next(&self) -> Position {
        let Ok(Position { index, .. }) = self.state.applied();
        Position {
            index: index + 1,
            term: 1,
        }
    }

    fn apply(&mut self, what: What) -> Option<(RequestId, Outcome)> {
        let at = self.next();
        apply(&mut self.state, &Item { at, what }).unwrap()
    }

    fn ask(&mut self, ticket: Ticket, command: &Command) -> Outcome {
        let bytes = Bytes::from(encode(command).unwrap());
        self.apply(What::Command(ticket, bytes)).unwrap().1
    }

    fn once(&mut self, command: &Command) -> Outcome {
        self.requests += 1;
        let ticket = Ticket {
            id: RequestId([self.requests; 16]),
            born: self.next().index - 1,
        };
        self.ask(ticket, command)
    }
}

#[test]
fn a_request_that_comes_twice_is_done_once() {
    let mut log = Log::new();
    let ticket = Ticket {
        id: RequestId([200; 16]),
        born: 1,
    };
    let first = log.ask(ticket, &ended(1, Some("s")));
    assert_eq!(first, Outcome::Kept { position: 0 });
    assert_eq!(
        log.once(&ended(2, Some("s"))),
        Outcome::Kept { position: 1 }
    );
    assert_eq!(log.ask(ticket, &ended(1, Some("s"))), first);
    assert_eq!(log.state.session(TENANT, "s").len(), 2);
}

#[test]
fn a_request_whose_answer_is_forgotten_is_refused() {
    let mut log = Log::new();
    let ticket = Ticket {
        id: RequestId([200; 16]),
        born: 1,
    };
    log.ask(ticket, &ended(1, Some("s")));
    for _ in 0..DEDUP_ENTRIES {
        log.apply(What::Nothing);
    }
    assert_eq!(
        log.state.answer(ticket.id),
        Ok(Some(Outcome::Kept { position: 0 }))
    );
    log.apply(What::Nothing);
    assert_eq!(log.state.answer(ticket.id), Ok(None));
    assert_eq!(log.ask(ticket, &ended(1, Some("s"))), Outcome::Expired);
    assert_eq!(log.state.session(TENANT, "s").len(), 1);
}

#[test]
fn an_execution_ends_once() {
    let mut log = Log::new();
    assert_eq!(
        log.once(&Command::Begin(Box::new(execution(1, Some("s"))))),
        Outcome::Done
    );
    let lost = Command::Abandon {
        executions: vec![[1; 16], [9; 16]],
        at_us: 7,
        error: "its node has left".to_owned(),
    };
    assert_eq!(log.once(&lost), Outcome::Done);
    assert_eq!(log.once(&ended(1, Some("s"))), Outcome::AlreadyEnded);
    assert_eq!(log.state.session(TENANT, "s"), []);
    let found = log.state.execution(&[1; 16]).unwrap();
    assert!(matches!(found.end, Some((7, Ended::Failed { .. }))));
    log.once(&Command::Begin(Box::new(execution(2, None))));
    log.once(&Command::Expire(vec![[1; 16], [2; 16], [3; 16]]));
    assert_eq!(log.state.execution(&[1; 16]), None);
    assert!(log.state.execution(&[2; 16]).is_some(), "it runs still");
}

#[test]
fn what_a_node_begins_after_it_was_given_up_runs_on() {
    let mut log = Log::new();
    log.once(&Command::Begin(Box::new(execution(1, None))));
    // Decided now, by a leader whose clock is far ahead of the node's.
    let lost = Command::Abandon {
        executions: vec![[1; 16]],
        at_us: 1_000_000,
        error: "it is not heard any more".to_owned(),
    };
    // The node comes back meanwhile, and begins another one.
    log.once(&Command::Begin(Box::new(execution(2, None))));
    assert_eq!(log.once(&lost), Outcome::Done);
    assert!(log.state.execution(&[1; 16]).unwrap().end.is_some());
    assert_eq!(log.state.execution(&[2; 16]).unwrap().end, None);
    assert_eq!(
        log.once(&ended(2, None)),
        Outcome::Done,
        "it ends by itself"
    );
}

#[test]
fn the_first_key_of_places_stays() {
    let mut log = Log::new();
    let hide = |key: u8| Command::HidePlaces(CursorKey([key; 32]));
    assert_eq!(log.once(&hide(1)), Outcome::Done);
    assert_eq!(log.once(&hide(2)), Outcome::Done);
    assert_eq!(log.state.cursor_key(), Some(CursorKey([1; 32])));
    assert!(!format!("{:?}", hide(1)).contains('1'), "it is a secret");
}

#[test]
fn tags_are_replaced_and_deleted() {
    let mut log = Log::new();
    let pairs = |pairs: &[(&str, &str)]| {
        let owned = pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        owned.collect::<Vec<_>>()
    };
    let tags = TagChange::Replace(pairs(&[("a", "1"), ("b", "2")]));
    assert_eq!(log.once(&retag(tags.clone())), Outcome::Missing);
    log.once(&ended(1, None));
    assert_eq!(log.once(&retag(tags)), Outcome::Done);
    log.once(&retag(TagChange::Delete(vec![
        "a".to_owned(),
        "c".to_owned(),
    ])));
    let found: Vec<_> = log.state.tags(TENANT, &HEAP).unwrap().iter().collect();
    assert_eq!(found, [(&"b".to_owned(), &"2".to_owned())]);
    log.once(&retag(TagChange::DeleteAll));
    assert!(log.state.tags(TENANT, &HEAP).unwrap().is_empty());
}

#[test]
fn a_heap_that_is_needed_stays() {
    let mut log = Log::new();
    let forget = |unused_since_us| Command::Forget {
        tenant: TENANT.to_owned(),
        heap: HEAP,
        unused_since_us,
    };
    assert_eq!(log.once(&forget(100)), Outcome::Missing);
    log.once(&ended(1, None));
    assert_eq!(log.once(&forget(0)), Outcome::Needed, "it was used since");
    log.once(&retag(TagChange::Replace(vec![(
        "a".to_owned(),
        String::new(),
    )])));
    assert_eq!(log.once(&forget(100)), Outcome::Needed, "it has a tag");
    log.once(&retag(TagChange::DeleteAll));
    assert_eq!(log.once(&forget(100)), Outcome::Done);
    log.once(&ended(2, Some("s")));
    assert_eq!(log.once(&forget(100)), Outcome::Needed, "a session has it");
}

#[test]
fn a_heap_that_is_adopted_keeps_what_is_known_of_it() {
    let mut log = Log::new();
    let adopt = |stored_bytes, at_us| Command::Adopt {
        tenant: TENANT.to_owned(),
        heap: HEAP,
        stored_bytes,
        at_us,
    };
    assert_eq!(log.once(&adopt(7, 5)), Outcome::Done);
    assert_eq!(log.once(&adopt(8, 3)), Outcome::Done);
    assert_eq!(log.state.heap_used(TENANT, &HEAP), Ok(Some(5)));
}

#[test]
fn members_come_and_go_for_good() {
    let mut log = Log::new();
    let member = Member {
        id: id(5),
        name: "n".to_owned(),
        address: "a:1".to_owned(),
        incarnation: Incarnation([1; 16]),
        is_learner_for_good: false,
    };
    let mut conf = ConfState::default();
    conf.set_voters(vec![1, 5]);
    let mut change = |change, conf: Option<&ConfState>| {
        log.apply(What::Members {
            ticket: None,
            change: Some(change),
            conf: conf.cloned(),
        });
        let Ok(members) = log.state.members();
        (members, log.state.conf())
    };
    let (members, _) = change(MemberChange::Join(member.clone()), None);
    assert_eq!(members.present, [], "the algorithm has refused it");
    let (members, now) = change(MemberChange::Join(member.clone()), Some(&conf));
    assert_eq!((members.get(id(5)), now), (Some(&member), conf.clone()));
    // In the midst of a replacement the leaver still has a vote.
    conf.set_voters(vec![1, 6]);
    conf.set_voters_outgoing(vec![1, 5]);
    let replace = MemberChange::Replace {
        old: id(5),
        new: id(6),
    };
    let (members, _) = change(replace, Some(&conf));
    assert!(!members.was_removed(id(5)));
    conf.set_voters_outgoing(Vec::new());
    let (members, _) = change(MemberChange::Remove(id(5)), Some(&conf));
    assert_eq!(members.present, []);
    assert!(members.was_removed(id(5)));
}

#[test]
fn entries_are_applied_one_after_another() {
    let mut log = Log::new();
    let skipped = Item {
        at: Position { index: 3, term: 1 },
        what: What::Nothing,
    };
    assert!(matches!(
        apply(&mut log.state, &skipped),
        Err(ApplyError::Order {
            index: 3,
            applied: 1
        })
    ));
    let unknown = Item {
        at: log.next(),
        what: What::Command(
            Ticket {
                id: RequestId([1; 16]),
                born: 1,
            },
            Bytes::from_static(&[99, 0]),
        ),
    };
    assert!(matches!(
        apply(&mut log.state, &unknown),
        Err(ApplyError::Command { .. })
    ));
    assert_eq!(log.next().index, 2);
}

#[test]
fn a_state_is_read_back_from_its_bytes() {
    let mut log = Log::new();
    log.once(&ended(1, Some("s")));
    log.once(&Command::Begin(Box::new(execution(2, None))));
    let bytes = encode(&log.state).unwrap();
    assert_eq!(decode::<MemoryState>(&bytes).unwrap(), log.state);
}
