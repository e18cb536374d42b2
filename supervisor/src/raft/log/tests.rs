//! The log against models: the raft crate's own storage in memory, and the file against the memory.

use bytes::Bytes;
use proptest::prelude::*;
use raft::eraftpb::{ConfState, Entry, HardState, Snapshot};
use raft::storage::MemStorage;
use raft::{Error, GetEntriesContext, Storage, StorageError};

use super::super::ids::{ClusterId, Incarnation, RaftId};
use super::{
    Identity, Install, LogCache, LogDbError, LogError, LogWrite, Position, RaftDb, StoredLog,
};

fn entry(index: u64, term: u64, bytes: usize) -> Entry {
    let mut entry = Entry::default();
    (entry.index, entry.term) = (index, term);
    entry.data = Bytes::from(vec![7; bytes]);
    entry
}

fn hard(term: u64, vote: u64, commit: u64) -> HardState {
    let mut hard = HardState::default();
    (hard.term, hard.vote, hard.commit) = (term, vote, commit);
    hard
}

fn identity() -> Identity {
    Identity {
        cluster: ClusterId([3; 16]),
        id: RaftId::from_u64(77).unwrap(),
        incarnation: Incarnation([4; 16]),
    }
}

fn temporary() -> (tempfile::TempDir, RaftDb) {
    let directory = tempfile::tempdir().unwrap();
    let mut db = RaftDb::open(&directory.path().join("raft.db")).unwrap();
    db.begin(identity(), &StoredLog::first()).unwrap();
    (directory, db)
}

/// What happens to a log, in numbers that are made to fit where it stands.
#[derive(Debug, Clone)]
enum Step {
    Append { back: u64, sizes: Vec<usize> },
    Compact { keep: u64 },
    Install { ahead: u64 },
    Vote,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..4_u64, prop::collection::vec(0..50_usize, 1..5))
            .prop_map(|(back, sizes)| Step::Append { back, sizes }),
        // The raft crate's storage forgets its last index when nothing is left.
        2 => (1..6_u64).prop_map(|keep| Step::Compact { keep }),
        1 => (0..6_u64).prop_map(|ahead| Step::Install { ahead }),
        1 => Just(Step::Vote),
    ];
    prop::collection::vec(step, 1..25)
}

/// The write that a step is where the log stands. Terms grow with every step.
fn write_of(step: &Step, cache: &LogCache, term: u64) -> LogWrite {
    let (base, last) = (cache.base(), cache.last());
    let mut write = LogWrite {
        hard: hard(term, 9, cache.hard().commit.max(base.index)),
        ..LogWrite::default()
    };
    match step {
        Step::Append { back, sizes } => {
            let first = (last.index + 1)
                .saturating_sub(*back)
                .max(write.hard.commit + 1);
            write.entries = (first..)
                .zip(sizes)
                .map(|(at, size)| entry(at, term, *size))
                .collect();
            write.hard.commit = write.hard.commit.max(first);
        }
        Step::Compact { keep } => {
            let index = last
                .index
                .saturating_sub(*keep)
                .min(write.hard.commit)
                .max(base.index);
            write.compact_to = cache.position(index);
        }
        Step::Install { ahead } => {
            let at = Position {
                index: last.index + 1 + ahead,
                term,
            };
            write.hard.commit = at.index;
            write.install = Some(Install {
                at,
                conf: ConfState::default(),
                manifest: Bytes::from_static(b"content"),
            });
        }
        Step::Vote => write.hard.vote = 5,
    }
    write
}

/// Does the same to the raft crate's storage.
fn apply_to_oracle(oracle: &MemStorage, write: &LogWrite) {
    let mut core = oracle.wl();
    if let Some(install) = &write.install {
        let mut snapshot = Snapshot::default();
        snapshot.mut_metadata().index = install.at.index;
        snapshot.mut_metadata().term = install.at.term;
        core.apply_snapshot(snapshot).unwrap();
    }
    core.append(&write.entries).unwrap();
    core.set_hardstate(write.hard.clone());
    if let Some(to) = write.compact_to {
        core.compact(to.index + 1).unwrap();
    }
}

fn same_answers(cache: &LogCache, oracle: &MemStorage) {
    assert_eq!(cache.first_index().unwrap(), oracle.first_index().unwrap());
    assert_eq!(cache.last_index().unwrap(), oracle.last_index().unwrap());
    let (first, last) = (cache.first_index().unwrap(), cache.last_index().unwrap());
    for index in first..=last {
        assert_eq!(cache.term(index).unwrap(), oracle.term(index).unwrap());
        for most in [None, Some(0), Some(60), Some(u64::MAX)] {
            let context = || GetEntriesContext::empty(false);
            assert_eq!(
                cache.entries(index, last + 1, most, context()).unwrap(),
                oracle.entries(index, last + 1, most, context()).unwrap(),
            );
        }
    }
    assert!(matches!(
        cache.term(last + 1),
        Err(Error::Store(StorageError::Unavailable))
    ));
    assert_eq!(
        cache.initial_state().unwrap().hard_state,
        oracle.initial_state().unwrap().hard_state
    );
    // The term before the first entry is known, also after compaction and installation.
    assert_eq!(cache.term(first - 1).unwrap(), cache.base().term);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn memory_file_and_the_storage_of_the_raft_crate_agree(steps in steps()) {
        let (directory, mut db) = temporary();
        let mut cache = LogCache::new(db.load().unwrap(), ConfState::default());
        let oracle = MemStorage::new();
        let mut first = Snapshot::default();
        (first.mut_metadata().index, first.mut_metadata().term) = (1, 1);
        oracle.wl().apply_snapshot(first).unwrap();
        oracle.wl().set_hardstate(cache.hard().clone());
        for (step, term) in steps.iter().zip(2..) {
            let write = write_of(step, &cache, term);
            db.write(&write).unwrap();
            cache.written(&write);
            apply_to_oracle(&oracle, &write);
            same_answers(&cache, &oracle);
            if write.install.is_some() {
                prop_assert_eq!(db.pending_snapshot().unwrap().unwrap(), &b"content"[..]);
                db.snapshot_installed().unwrap();
            }
            prop_assert_eq!(db.pending_snapshot().unwrap(), None);
        }
        drop(db);
        let stored = RaftDb::open(&directory.path().join("raft.db")).unwrap().load().unwrap();
        prop_assert_eq!(stored.base, cache.base());
        prop_assert_eq!(&stored.hard, cache.hard());
        let found = LogCache::new(stored, ConfState::default());
        same_answers(&found, &oracle);
        prop_assert_eq!(found.bytes(), cache.bytes());
    }
}

#[test]
fn a_log_without_entries_knows_where_it_ends() {
    let (_directory, mut db) = temporary();
    let mut cache = LogCache::new(db.load().unwrap(), ConfState::default());
    let append = LogWrite {
        hard: hard(2, 0, 3),
        entries: vec![entry(2, 2, 1), entry(3, 2, 1)],
        ..LogWrite::default()
    };
    let compact = LogWrite {
        hard: hard(2, 0, 3),
        compact_to: Some(Position { index: 3, term: 2 }),
        ..LogWrite::default()
    };
    for write in [append, compact] {
        db.write(&write).unwrap();
        cache.written(&write);
    }
    for cache in [
        cache,
        LogCache::new(db.load().unwrap(), ConfState::default()),
    ] {
        assert_eq!(
            (cache.first_index().unwrap(), cache.last_index().unwrap()),
            (4, 3)
        );
        assert_eq!((cache.term(3).unwrap(), cache.bytes()), (2, 0));
    }
}

#[test]
fn a_write_that_fails_changes_nothing() {
    let (_directory, mut db) = temporary();
    let before = db.load().unwrap();
    // The second entry cannot be written; the first goes with it.
    let write = LogWrite {
        hard: hard(2, 0, 2),
        entries: vec![entry(2, 2, 1), entry(u64::MAX, 2, 1)],
        ..LogWrite::default()
    };
    assert!(db.write(&write).is_err());
    assert_eq!(db.load().unwrap(), before);
}

#[test]
fn a_disk_without_room_says_so() {
    let (_directory, mut db) = temporary();
    db.connection_for_tests()
        .pragma_update(None, "max_page_count", 20)
        .unwrap();
    let write = LogWrite {
        hard: hard(2, 0, 1),
        entries: vec![entry(2, 2, 1 << 20)],
        ..LogWrite::default()
    };
    let error = db.write(&write).unwrap_err();
    assert!(error.is_full(), "{error}");
    assert_eq!(db.load().unwrap(), StoredLog::first());
}

#[test]
fn a_disk_belongs_to_one_life() {
    let (directory, mut db) = temporary();
    assert_eq!(db.identity().unwrap(), Some(identity()));
    assert!(db.begin(identity(), &StoredLog::first()).is_err());
    let other = RaftDb::open(&directory.path().join("other.db")).unwrap();
    assert_eq!(other.identity().unwrap(), None);
    let checkpointer = super::Checkpointer::open(&directory.path().join("raft.db")).unwrap();
    assert!(checkpointer.run().unwrap());
}

#[test]
fn a_life_has_its_name_before_it_begins_and_keeps_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("raft.db");
    let life = RaftDb::open(&path).unwrap().incarnation().unwrap();
    // Nobody has begun: it was named, and nothing else.
    let mut db = RaftDb::open(&path).unwrap();
    assert_eq!(db.identity().unwrap(), None);
    assert_eq!(db.incarnation().unwrap(), life);
    let other = db.begin(identity(), &StoredLog::first()).unwrap_err();
    assert!(matches!(other, LogDbError::OtherLife), "{other}");
    assert_eq!(db.identity().unwrap(), None);
    let own = Identity {
        incarnation: life,
        ..identity()
    };
    db.begin(own, &StoredLog::first()).unwrap();
    db.forget_beginning().unwrap();
    assert_eq!(db.incarnation().unwrap(), life);
    db.begin(own, &StoredLog::first()).unwrap();
    assert_eq!(db.incarnation().unwrap(), life);
    let mut elsewhere = RaftDb::open(&directory.path().join("other.db")).unwrap();
    assert_ne!(elsewhere.incarnation().unwrap(), life);
}

#[test]
fn a_log_of_the_first_version_has_the_life_that_began_on_it() {
    let (directory, db) = temporary();
    db.connection_for_tests()
        .execute_batch("DROP TABLE life; DROP TABLE founding; PRAGMA user_version = 1;")
        .unwrap();
    drop(db);
    let mut db = RaftDb::open(&directory.path().join("raft.db")).unwrap();
    assert_eq!(db.incarnation().unwrap(), identity().incarnation);
    assert_eq!(db.load().unwrap(), StoredLog::first());
    // And one of the second knows of no cluster of one.
    db.connection_for_tests()
        .execute_batch("DROP TABLE founding; PRAGMA user_version = 2;")
        .unwrap();
    drop(db);
    let again = RaftDb::open(&directory.path().join("raft.db")).unwrap();
    assert_eq!(again.identity().unwrap(), Some(identity()));
    assert_eq!(again.founding().unwrap(), None);
}

#[test]
fn a_log_that_does_not_fit_its_state_is_refused() {
    let log = |base, commit, entries: &[u64]| StoredLog {
        base: Position {
            index: base,
            term: 1,
        },
        hard: hard(1, 0, commit),
        entries: entries.iter().map(|index| entry(*index, 1, 0)).collect(),
    };
    assert_eq!(log(5, 5, &[6, 7]).reconcile(6).unwrap().hard.commit, 6);
    assert_eq!(
        log(5, 5, &[6, 8]).reconcile(5),
        Err(LogError::Gap { index: 7 })
    );
    let mut older = log(5, 5, &[6, 7]);
    older.entries[0].term = 2;
    assert_eq!(older.reconcile(5), Err(LogError::Disorder { index: 7 }));
    assert_eq!(
        log(5, 5, &[6]).reconcile(4),
        Err(LogError::StateLost {
            base: 5,
            applied: 4
        })
    );
    for (commit, applied) in [(5, 7), (7, 6)] {
        assert_eq!(
            log(5, commit, &[6]).reconcile(applied),
            Err(LogError::LogLost { last: 6, needed: 7 })
        );
    }
}

#[test]
fn a_snapshot_is_offered_only_to_whom_it_helps() {
    let mut cache = LogCache::new(StoredLog::first(), ConfState::default());
    let unavailable = |answer: raft::Result<Snapshot>| {
        matches!(
            answer,
            Err(Error::Store(StorageError::SnapshotTemporarilyUnavailable))
        )
    };
    assert!(unavailable(cache.snapshot(0, 7)));
    assert_eq!(cache.wanted().unwrap().to, 7);
    assert_eq!(cache.wanted(), None);
    let mut snapshot = Snapshot::default();
    snapshot.mut_metadata().index = 4;
    snapshot.mut_metadata().mut_conf_state().set_voters(vec![1]);
    snapshot
        .mut_metadata()
        .mut_conf_state()
        .set_learners(vec![7]);
    cache.offer(snapshot);
    assert!(cache.snapshot(4, 7).is_ok());
    assert!(unavailable(cache.snapshot(5, 7)), "it is too old");
    assert!(
        unavailable(cache.snapshot(0, 8)),
        "it does not know the node"
    );
}
