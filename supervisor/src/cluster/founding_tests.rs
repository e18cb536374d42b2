//! A node that goes on alone, as a death at each step leaves it.

use bytes::Bytes;
use raft::eraftpb::{Entry, EntryType};

use super::*;
use crate::raft::command::{self, Command};
use crate::raft::ids::RequestId;
use crate::raft::request::MemberChange;
use crate::raft::state::{Ticket, What};

fn life(name: &str) -> Member {
    let incarnation = Incarnation([name.as_bytes()[0]; 16]);
    Member {
        id: RaftId::of(name, incarnation),
        name: name.to_owned(),
        address: format!("{name}:1"),
        incarnation,
        is_learner_for_good: false,
    }
}

fn heap_of(number: u64) -> [u8; 32] {
    [u8::try_from(number).unwrap(); 32]
}

fn adopt(number: u64) -> Command {
    Command::Adopt {
        tenant: "t".to_owned(),
        heap: heap_of(number),
        stored_bytes: 1,
        at_us: 1,
    }
}

fn ticket(index: u64) -> Ticket {
    Ticket {
        id: RequestId(u128::from(index).to_le_bytes()),
        born: 1,
    }
}

/// An entry as a leader makes it.
fn entry(index: u64, command: &Command) -> Entry {
    let Ticket { id, born } = ticket(index);
    Entry {
        index,
        term: 2,
        context: [&id.0[..], &born.to_le_bytes()].concat().into(),
        data: command::encode(command).unwrap().into(),
        ..Entry::default()
    }
}

/// A leader's own change of the members.
fn change(index: u64, change: &MemberChange) -> Entry {
    let bytes = command::encode(change).unwrap();
    let mut entry = Entry {
        index,
        term: 2,
        context: [&[0][..], &bytes].concat().into(),
        data: Bytes::from_static(b"not read"),
        ..Entry::default()
    };
    entry.set_entry_type(EntryType::EntryConfChangeV2);
    entry
}

/// One of three. What the others have may be lost: 2 is applied here, 3 and 4 are committed, 5 stands in the
/// log.
fn one_of_three() -> Opened {
    let mut opened = new();
    let Beginning::First { mut members, .. } = first() else {
        unreachable!()
    };
    members.present.extend([life("x"), life("y")]);
    members.removed.push(life("z").id);
    let mut conf = ConfState::default();
    conf.set_voters(members.present.iter().map(|one| one.id.get()).collect());
    let beginning = Beginning::First { members, conf };
    opened.files.begin(me(), beginning).unwrap();
    let mut write = LogWrite {
        entries: vec![
            entry(2, &adopt(2)),
            entry(3, &adopt(3)),
            change(4, &MemberChange::Join(life("w"))),
            entry(5, &adopt(5)),
        ],
        hard: opened.files.raft.load().unwrap().hard,
        ..LogWrite::default()
    };
    (write.hard.term, write.hard.vote, write.hard.commit) = (3, life("x").id.get(), 4);
    opened.files.persist(&write).unwrap();
    let what = What::Command(ticket(2), write.entries[0].data.clone());
    let at = Position { index: 2, term: 2 };
    let applied = opened.files.state.apply(vec![Item { at, what }], true);
    assert_eq!(applied.unwrap().answers.len(), 1);
    opened
}

/// A cluster of one, which has all that its node had.
fn is_alone(opened: &Opened, cluster: ClusterId) {
    let identity = opened.files.identity().unwrap().unwrap();
    assert_eq!(identity, Identity { cluster, ..me() });
    let begin = opened.files.load(identity).unwrap();
    assert_eq!(begin.conf.get_voters(), [me().id.get()]);
    assert_eq!(begin.members.present.len(), 1);
    assert_eq!(begin.members.present[0].id, me().id);
    for gone in ["x", "y", "z"] {
        assert!(begin.members.was_removed(life(gone).id), "{gone}");
    }
    assert_eq!(begin.applied, Position { index: 5, term: 2 });
    assert_eq!(
        (begin.log.base, begin.log.entries.len()),
        (begin.applied, 0)
    );
    let hard = &begin.log.hard;
    assert_eq!((hard.term, hard.vote, hard.commit), (3, 0, 5));
    let database = opened.place.path().join("executions.db");
    let state = read_back(&rusqlite::Connection::open(database).unwrap());
    for number in [2, 3, 5] {
        assert!(state.tags("t", &heap_of(number)).is_some(), "{number}");
    }
}

#[test]
fn a_node_that_goes_on_alone_takes_all_that_it_has_into_a_cluster_of_its_own() {
    let mut opened = one_of_three();
    let before = copy(opened.place.path());
    let identity = opened.files.resume_alone().unwrap();
    assert_ne!(identity.cluster, me().cluster);
    is_alone(&opened, identity.cluster);
    is_alone(&open(copy(opened.place.path())), identity.cluster);
    // Who was not told to has what it had.
    let mut before = open(before);
    assert_eq!(before.files.resume().unwrap(), me());
    assert_eq!(places(&before.files), (1, 2, false));
}

#[test]
fn a_node_that_dies_on_its_way_to_be_alone_gets_there() {
    let mut opened = one_of_three();
    let cluster = ClusterId([0x77; 16]);
    opened.files.raft.begin_founding(cluster).unwrap();
    let mut died = vec![copy(opened.place.path())];
    let applied = opened.files.state.look().unwrap().applied;
    let (log, rest) = opened.files.rest(applied).unwrap();
    opened.files.state.apply(rest, true).unwrap();
    died.push(copy(opened.place.path()));
    let SharedState {
        applied, members, ..
    } = opened.files.state.look().unwrap();
    let mut conf = ConfState::default();
    conf.set_voters(vec![me().id.get()]);
    let members = alone(members, me().id);
    let state = SharedState {
        applied,
        conf,
        members,
    };
    opened.files.state.found(state).unwrap();
    died.push(copy(opened.place.path()));
    opened.files.raft.end_founding(&log.ended(applied)).unwrap();
    died.push(copy(opened.place.path()));
    for died in died {
        // Whatever it is told then.
        let mut again = open(died);
        is_alone(&again, cluster);
        assert_eq!(again.files.resume().unwrap().cluster, cluster);
        is_alone(&again, cluster);
    }
}

#[test]
fn a_switch_that_is_left_where_it_is_parts_nobody() {
    let mut opened = one_of_three();
    let first = opened.files.resume_alone().unwrap();
    let again = open(copy(opened.place.path())).files.resume_alone();
    assert_eq!(again.unwrap(), first);
    assert_eq!(opened.files.resume_alone().unwrap(), first);
    // It was taken away, and is needed a second time.
    assert_eq!(opened.files.resume().unwrap(), first);
    let second = opened.files.resume_alone().unwrap();
    assert_ne!(second.cluster, first.cluster);
    is_alone(&opened, second.cluster);
}

#[test]
fn who_has_nothing_or_was_removed_does_not_go_on_alone() {
    let mut opened = new();
    let refused = |files: &mut Files| {
        assert!(matches!(files.resume_alone(), Err(FilesError::NoMember)));
        assert_eq!(files.raft.founding().unwrap(), None);
    };
    refused(&mut opened.files);
    assert!(matches!(opened.files.resume(), Err(FilesError::NoMember)));
    opened.files.begin(me(), Beginning::Later).unwrap();
    refused(&mut opened.files);
    assert_eq!(opened.files.resume().unwrap(), me());

    let opened = one_of_three();
    let mut state = opened.files.state.look().unwrap();
    state.members.present.retain(|member| member.id != me().id);
    state.members.removed.push(me().id);
    opened.files.state.found(state).unwrap();
    let mut opened = open(copy(opened.place.path()));
    refused(&mut opened.files);
}

#[test]
fn a_log_that_cannot_be_read_to_its_end_keeps_the_way_back() {
    let mut opened = one_of_three();
    let mut unknown = entry(6, &adopt(6));
    unknown.data = Bytes::from_static(&[99, 1]);
    let write = LogWrite {
        entries: vec![unknown],
        hard: opened.files.raft.load().unwrap().hard,
        ..LogWrite::default()
    };
    opened.files.persist(&write).unwrap();
    let refused = opened.files.resume_alone().unwrap_err();
    assert!(refused.to_string().contains("entry 6"), "{refused}");
    assert_eq!(opened.files.raft.founding().unwrap(), None);
    assert_eq!(places(&opened.files), (1, 2, false));
}
