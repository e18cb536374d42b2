//! A node's files as a death at each step leaves them: copies are opened, as they would lie on the disk.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::raft::ids::{ClusterId, Incarnation, RaftId};
use crate::raft::log::Install;
use crate::raft::request::Member;
use crate::store::snapshot::Made;
use crate::store::{Retention, Store, StorePlace, read_back};

#[path = "founding_tests.rs"]
mod founding;

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
