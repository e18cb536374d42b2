//! A node's files as a death at each step leaves them: copies are opened, as they would lie on the disk.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use raft::eraftpb::{Entry, EntryType};
use tempfile::TempDir;

use super::*;
use crate::raft::command::{self, Command};
use crate::raft::ids::{ClusterId, Incarnation, RaftId, RequestId};
use crate::raft::log::Install;
use crate::raft::request::{Member, MemberChange};
use crate::raft::state::{Ticket, What};
use crate::store::snapshot::Made;
use crate::store::{Retention, Store, StorePlace, read_back};

fn me() -> Identity {
    let incarnation = Incarnation([1; 16]);
    Identity {
        cluster: ClusterId([9; 16]),
        id: RaftId::of("a", incarnation),
        incarnation,
    }
}

fn first() -> Beginning {
    let me = me();
    let mut conf = ConfState::default();
    conf.set_voters(vec![me.id.get()]);
    let member = Member {
        id: me.id,
        name: "a".to_owned(),
        address: "a:1".to_owned(),
        incarnation: me.incarnation,
        is_learner_for_good: false,
    };
    Beginning::First {
        members: Members {
            present: vec![member],
            removed: Vec::new(),
        },
        conf,
    }
}

/// A node's directory, opened.
struct Opened {
    place: TempDir,
    store: Store,
    files: Files,
}

fn store(directory: &Path) -> Store {
    let place = StorePlace::Directory(directory.to_owned());
    Store::open_in_cluster(place, Retention::default(), me().id).unwrap()
}

fn open(place: TempDir) -> Opened {
    let store = store(place.path());
    let files = Files::open(place.path(), store.replication()).unwrap();
    Opened {
        place,
        store,
        files,
    }
}

fn new() -> Opened {
    open(tempfile::tempdir().unwrap())
}

/// The files as they lie there now, as if the process had died.
fn copy(of: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_into(of, copy.path());
    copy
}

fn copy_into(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        let target = to.join(&name);
        if entry.path().is_dir() {
            fs::create_dir(&target).unwrap();
            copy_into(&entry.path(), &target);
        } else if !name.ends_with("-shm") {
            // What is shared in memory dies with its processes.
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A snapshot of another node, in the directory of this one.
fn snapshot_for(opened: &Opened) -> (Made, LogWrite) {
    let other = new();
    let state = other.store.replication();
    let mut conf = ConfState::default();
    conf.set_voters(vec![me().id.get(), 7]);
    let Beginning::First { members, .. } = first() else {
        unreachable!()
    };
    state
        .found(SharedState {
            applied: Position { index: 40, term: 2 },
            conf,
            members,
        })
        .unwrap();
    let made = state.make_snapshot(&opened.files.snapshots()).unwrap();
    let write = LogWrite {
        install: Some(Install {
            at: made.manifest.at,
            conf: made.conf.clone(),
            manifest: made.manifest.to_bytes().into(),
        }),
        hard: opened.files.raft.load().unwrap().hard,
        ..LogWrite::default()
    };
    (made, write)
}

/// What the two files say.
fn places(files: &Files) -> (u64, u64, bool) {
    let log = files.raft.load().unwrap();
    let state = files.state.look().unwrap();
    let is_pending = files.raft.pending_snapshot().unwrap().is_some();
    (log.base.index, state.applied.index, is_pending)
}

#[test]
fn a_node_that_dies_during_an_install_finishes_it() {
    let mut opened = new();
    opened.files.begin(me(), first()).unwrap();
    let (made, write) = snapshot_for(&opened);
    let before = copy(opened.place.path());

    opened.files.raft.write(&write).unwrap();
    let with_marker = copy(opened.place.path());

    let path = opened.files.snapshot(&made.manifest).unwrap();
    opened.files.state.install(path, made.manifest).unwrap();
    let installed = copy(opened.place.path());

    opened.files.raft.snapshot_installed().unwrap();
    assert_eq!(places(&opened.files), (40, 40, false));

    let before = open(before);
    assert_eq!(places(&before.files), (1, 1, false));
    for died in [with_marker, installed] {
        let again = open(died);
        assert_eq!(places(&again.files), (40, 40, false));
        assert_eq!(again.files.identity().unwrap(), Some(me()));
        let begin = again.files.load(me()).unwrap();
        assert_eq!(begin.conf, made.conf);
    }
}

#[test]
fn the_whole_install_is_one_call() {
    let mut opened = new();
    opened.files.begin(me(), first()).unwrap();
    let (made, write) = snapshot_for(&opened);
    let members = opened.files.persist(&write).unwrap().unwrap();
    assert_eq!(members.present.len(), 1);
    assert_eq!(places(&opened.files), (40, 40, false));
    // Nothing needs it any more once there is a newer one.
    let newer = Manifest {
        sha256: [7; 32],
        ..made.manifest
    };
    opened.files.keep_snapshot(&made.manifest);
    assert!(opened.files.snapshot(&made.manifest).is_some());
    opened.files.keep_snapshot(&newer);
    assert!(opened.files.snapshot(&made.manifest).is_none());
}

#[test]
fn what_arrives_is_taken_before_anything_points_to_it_and_goes_when_it_was_looked_at() {
    let mut opened = new();
    opened.files.begin(me(), first()).unwrap();
    let (made, write) = snapshot_for(&opened);
    let snapshots = opened.files.snapshots();
    let arrived = snapshots.join(shelf::arrived_name(&made.manifest));
    let own = snapshots.join(made.manifest.file_name());
    fs::rename(&own, &arrived).unwrap();
    assert!(opened.files.take(&made.manifest));
    assert!(opened.files.take(&made.manifest), "it is taken already");
    assert!(!arrived.exists());
    // One that is made at the same time does not take its place.
    let newer = Manifest {
        sha256: [7; 32],
        ..made.manifest
    };
    opened.files.keep_snapshot(&newer);
    let taken = copy(opened.place.path());
    opened.files.persist(&write).unwrap();
    let installed = copy(opened.place.path());
    opened.files.drop_taken();
    assert!(!own.exists());
    assert!(!opened.files.take(&made.manifest));
    // Whoever dies in between leaves nothing behind.
    for (died, places_then) in [(taken, (1, 1, false)), (installed, (40, 40, false))] {
        let again = open(died);
        assert_eq!(places(&again.files), places_then);
        let left = fs::read_dir(again.files.snapshots()).unwrap();
        assert_eq!(left.count(), 0);
    }
}

#[test]
fn while_a_marker_points_to_a_snapshot_nobody_removes_it() {
    let mut opened = new();
    opened.files.begin(me(), first()).unwrap();
    let (made, write) = snapshot_for(&opened);
    opened.files.raft.write(&write).unwrap();
    let died = copy(opened.place.path());
    // The node waits for room, and others send it snapshots meanwhile.
    let in_place = died.path().join(SNAPSHOTS_NAME);
    let shelf = shelf::Shelf::open(in_place.clone()).unwrap();
    for number in 0..2 * crate::limits::SNAPSHOTS_KEPT as u64 {
        let elsewhere = tempfile::tempdir().unwrap();
        let other = crate::cluster::sample_tests::made(elsewhere.path(), 50 + number, 0);
        let content = fs::read(&other.path).unwrap();
        let sha256 = other.manifest.sha256;
        shelf.offer(me().id, other.manifest).unwrap();
        shelf.add(me().id, (sha256, 0), &content).unwrap();
        shelf.finish(me().id, other.manifest).unwrap();
    }
    assert!(in_place.join(made.manifest.file_name()).exists());
    let again = open(died);
    assert_eq!(places(&again.files), (40, 40, false));
    assert!(!in_place.join(made.manifest.file_name()).exists());
}

#[test]
fn a_snapshot_that_is_gone_or_damaged_when_it_is_needed_ends_the_node() {
    let mut opened = new();
    opened.files.begin(me(), first()).unwrap();
    let (made, write) = snapshot_for(&opened);
    opened.files.raft.write(&write).unwrap();
    let damaged = copy(opened.place.path());
    let path = damaged.path().join(SNAPSHOTS_NAME);
    let path = path.join(made.manifest.file_name());
    let mut bytes = fs::read(&path).unwrap();
    bytes[5000] ^= 1;
    fs::write(&path, bytes).unwrap();
    let of_damaged = store(damaged.path());
    let refused = Files::open(damaged.path(), of_damaged.replication()).unwrap_err();
    assert!(refused.to_string().contains("content"), "{refused}");
    assert!(!refused.is_full());

    let gone = copy(opened.place.path());
    let path = gone.path().join(SNAPSHOTS_NAME);
    fs::remove_file(path.join(made.manifest.file_name())).unwrap();
    let of_gone = store(gone.path());
    assert!(Files::open(gone.path(), of_gone.replication()).is_err());
    assert_eq!(of_gone.replication().look().unwrap().applied.index, 1);
}

#[test]
fn a_beginning_that_was_cut_short_is_begun_again() {
    for beginning in [first(), Beginning::Later] {
        let mut opened = new();
        assert_eq!(opened.files.identity().unwrap(), None);
        // The log is begun, the state is not.
        opened.files.raft.begin(me(), &StoredLog::first()).unwrap();
        let mut again = open(copy(opened.place.path()));
        assert_eq!(again.files.identity().unwrap(), None);
        again.files.begin(me(), beginning).unwrap();
        assert_eq!(again.files.identity().unwrap(), Some(me()));
        let again = open(copy(again.place.path()));
        assert_eq!(again.files.identity().unwrap(), Some(me()));
    }
}

#[test]
fn a_state_without_its_log_takes_no_part() {
    let mut opened = new();
    opened.files.begin(me(), first()).unwrap();
    let lost = copy(opened.place.path());
    for suffix in ["", "-wal"] {
        fs::remove_file(lost.path().join(format!("{RAFT_DB_NAME}{suffix}"))).unwrap();
    }
    let lost = open(lost);
    assert!(matches!(lost.files.identity(), Err(FilesError::LogMissing)));
}

#[test]
fn a_single_node_takes_what_it_has_into_its_cluster_and_into_no_other() {
    let place = tempfile::tempdir().unwrap();
    let alone = Store::open(
        StorePlace::Directory(place.path().to_owned()),
        Retention::default(),
    )
    .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let tenant = "t".parse().unwrap();
        let heap = crate::heaps::HeapId::of(b"x");
        let adopted = alone.adopt_heap(tenant, heap, 1, jiff::Timestamp::now());
        assert!(adopted.await.unwrap());
        // While it is used, no node begins on it.
        let second = Store::open_in_cluster(
            StorePlace::Directory(place.path().to_owned()),
            Retention::default(),
            me().id,
        );
        assert!(matches!(second, Err(crate::store::OpenError::InUse)));
        alone.close().await.unwrap();
    });
    let mut opened = open(place);
    assert!(matches!(
        opened.files.begin(me(), Beginning::Later),
        Err(FilesError::NotEmpty)
    ));
    opened.files.begin(me(), first()).unwrap();
    assert_eq!(places(&opened.files), (2, 2, false));
    let database = opened.place.path().join("executions.db");
    let state = read_back(&rusqlite::Connection::open(database).unwrap());
    assert_eq!(
        state.tags("t", crate::heaps::HeapId::of(b"x").as_bytes()),
        Some(&std::collections::BTreeMap::new())
    );
    // From now on it is no single node's any more.
    let copied = copy(opened.place.path());
    let alone = Store::open(
        StorePlace::Directory(copied.path().to_owned()),
        Retention::default(),
    );
    assert!(matches!(alone, Err(crate::store::OpenError::InCluster)));
}

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
