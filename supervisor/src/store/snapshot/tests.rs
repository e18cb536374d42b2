//! Snapshots there and back, and what is refused.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use rusqlite::Connection;

use super::*;
use crate::raft::ids::Incarnation;
use crate::raft::request::Member;
use crate::raft::state::{Members, State as _};
use crate::store::record::ExecutionId;
use crate::store::replica::tests::{command, conf, node, read_back};
use crate::store::replica::{Replica, accept_here, unshared_of};
use crate::store::schema::migrate;
use crate::store::write::{Chunk, Rule, Write};

const AT: Position = Position { index: 77, term: 3 };

/// A node's database, in a directory.
struct Node {
    place: tempfile::TempDir,
    connection: Connection,
}

impl Node {
    /// With what these commands lead to.
    fn new(seed: u8, commands: usize) -> Self {
        let place = tempfile::tempdir().unwrap();
        let mut connection = Connection::open(place.path().join("x.db")).unwrap();
        connection
            .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL")
            .unwrap();
        migrate(&mut connection).unwrap();
        let mut replica = Replica::new(&connection);
        let mut runner = TestRunner::new_with_rng(
            ProptestConfig::default(),
            proptest::test_runner::TestRng::from_seed(
                proptest::test_runner::RngAlgorithm::ChaCha,
                &[seed; 32],
            ),
        );
        for _ in 0..commands {
            let command = command().new_tree(&mut runner).unwrap().current();
            replica.perform(&command).unwrap();
        }
        let present = vec![Member {
            id: node(seed),
            name: "n".to_owned(),
            address: "a:1".to_owned(),
            incarnation: Incarnation([seed; 16]),
            is_learner_for_good: false,
        }];
        let members = Members {
            present,
            removed: vec![node(9), node(8)],
        };
        replica.set_members(&members).unwrap();
        replica.set_applied(AT, Some(&conf(&[seed]))).unwrap();
        Self { place, connection }
    }

    fn database(&self) -> PathBuf {
        self.place.path().join("x.db")
    }

    fn make(&self) -> Made {
        make(&self.database(), self.place.path()).unwrap()
    }

    /// An execution that the log does not name, with its output.
    fn own(&self, number: u8) {
        let mut execution = unnamed(number);
        execution.owner = node(0);
        accept_here(&self.connection, &execution).unwrap();
        let chunk = Chunk {
            id: ExecutionId::from_key(execution.id),
            start_byte: 0,
            newlines_before: 0,
            data: "out".to_owned(),
        };
        Write::Output(chunk)
            .apply(&self.connection, Rule::Cluster)
            .unwrap();
    }

    fn numbers(&self, select: &str) -> Vec<i64> {
        let mut rows = self.connection.prepare(select).unwrap();
        let rows = rows.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }
}

fn unnamed(number: u8) -> crate::raft::command::Execution {
    crate::raft::command::Execution {
        id: [number; 16],
        tenant: "t0".to_owned(),
        owner: node(0),
        session: None,
        input_heap: None,
        submitted_us: 1,
        source_bytes: 1,
        heap_memory_max_mb: 8,
        execution_timeout_secs: 30,
        started_us: None,
        output_bytes: 0,
        output_truncated: false,
        usage: None,
        end: None,
    }
}

fn damage(path: &Path, act: impl FnOnce(&Connection)) -> Manifest {
    let connection = Connection::open(path).unwrap();
    act(&connection);
    drop(connection);
    let verify::Seal { bytes, sha256 } = verify::seal(path).unwrap();
    Manifest {
        at: AT,
        bytes,
        sha256,
    }
}

#[test]
fn what_is_shared_is_the_same_afterwards_and_what_is_not_stays() {
    for seed in 0..8 {
        let (from, mut to) = (Node::new(seed, 200), Node::new(100 + seed, 150));
        for number in [2, 200, 201] {
            to.own_if_new(number);
        }
        let made = from.make();
        assert_eq!(
            verify(&made.path, &made.manifest).unwrap(),
            conf(&[seed]),
            "the configuration is in it"
        );
        let members = install(&mut to.connection, &made.path, &made.manifest).unwrap();
        assert_eq!(read_back(&to.connection), read_back(&from.connection));
        assert_eq!(members, Replica::new(&from.connection).members().unwrap());
        let own = unshared_of(&to.connection, node(0)).unwrap();
        assert!(own.contains(&unnamed(200)) && own.contains(&unnamed(201)));
        // Numbers are the order of lists.
        let order = "SELECT seq FROM sessions UNION ALL SELECT seq FROM heaps";
        assert_eq!(to.numbers(order), from.numbers(order));
        // No piece of output is without its execution.
        let stray =
            "SELECT execution FROM output WHERE execution NOT IN (SELECT seq FROM executions)";
        assert!(to.numbers(stray).is_empty());
        let pieces = to.numbers("SELECT count(*) FROM output");
        assert!(pieces[0] >= 2, "{pieces:?}");
        let totals = "SELECT sum(stored_bytes) FROM heaps GROUP BY tenant ORDER BY tenant";
        let kept = "SELECT stored_bytes FROM heap_totals ORDER BY tenant";
        assert_eq!(to.numbers(totals), to.numbers(kept));
        // A second time changes nothing.
        install(&mut to.connection, &made.path, &made.manifest).unwrap();
        assert_eq!(read_back(&to.connection), read_back(&from.connection));
        let level = to.numbers("PRAGMA synchronous");
        assert_eq!(level, [1], "later commits are as before");
    }
}

impl Node {
    fn own_if_new(&self, number: u8) {
        let known = self.numbers(&format!(
            "SELECT count(*) FROM executions WHERE id = x'{}'",
            format!("{number:02x}").repeat(16)
        ));
        if known == [0] {
            self.own(number);
        }
    }
}

#[test]
fn an_execution_of_this_node_that_the_snapshot_names_keeps_its_output() {
    let (from, mut to) = (Node::new(1, 0), Node::new(2, 0));
    to.own(5);
    Replica::new(&from.connection)
        .put_execution(&unnamed(5))
        .unwrap();
    let made = from.make();
    install(&mut to.connection, &made.path, &made.manifest).unwrap();
    assert_eq!(unshared_of(&to.connection, node(0)).unwrap(), []);
    let of_output = "SELECT output.seq FROM output JOIN executions ON execution = executions.seq";
    assert_eq!(to.numbers(of_output).len(), 1);
    assert_eq!(read_back(&to.connection), read_back(&from.connection));
}

#[test]
fn a_write_during_a_snapshot_is_not_in_it() {
    let from = Node::new(1, 50);
    let before = read_back(&from.connection);
    let made = from.make();
    Replica::new(&from.connection)
        .put_heap("t9", &[9; 32], 1, 1)
        .unwrap();
    let mut to = Node::new(2, 10);
    install(&mut to.connection, &made.path, &made.manifest).unwrap();
    assert_eq!(read_back(&to.connection), before);
}

#[test]
fn what_is_not_the_snapshot_that_was_announced_is_refused() {
    let from = Node::new(1, 100);
    let made = from.make();
    let refused = |manifest: &Manifest| verify(&made.path, manifest).unwrap_err().to_string();
    let longer = Manifest {
        bytes: made.manifest.bytes + 1,
        ..made.manifest
    };
    assert!(refused(&longer).contains("content"));
    let elsewhere = Manifest {
        at: Position { index: 78, term: 3 },
        ..made.manifest
    };
    assert!(refused(&elsewhere).contains("position"));
    let mut to = Node::new(2, 30);
    let before = read_back(&to.connection);
    install(&mut to.connection, &made.path, &elsewhere).unwrap_err();
    assert_eq!(read_back(&to.connection), before, "nothing has changed");
    install(&mut to.connection, &made.path, &made.manifest).unwrap();

    // One byte, somewhere.
    let mut bytes = fs::read(&made.path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&made.path, &bytes).unwrap();
    assert!(refused(&made.manifest).contains("content"));
}

#[test]
fn another_version_and_another_schema_are_refused() {
    let from = Node::new(1, 20);
    let made = from.make();
    let newer = damage(&made.path, |file| {
        file.pragma_update(None, "user_version", 2).unwrap();
    });
    assert!(matches!(
        verify(&made.path, &newer),
        Err(SnapshotError::Format { found: 2 })
    ));
    let acting = damage(&made.path, |file| {
        file.pragma_update(None, "user_version", SNAPSHOT_FORMAT)
            .unwrap();
        file.execute_batch("CREATE VIEW v AS SELECT 1").unwrap();
    });
    let refused = verify(&made.path, &acting).unwrap_err();
    assert!(refused.to_string().contains("schema"), "{refused}");
    let empty = damage(&made.path, |file| {
        file.execute_batch("DROP VIEW v; DELETE FROM applied")
            .unwrap();
    });
    let refused = verify(&made.path, &empty).unwrap_err();
    assert!(refused.to_string().contains("position"), "{refused}");
}

#[test]
fn a_manifest_is_read_back_and_no_other_bytes_are_one() {
    let manifest = Manifest {
        at: AT,
        bytes: 5,
        sha256: [7; 32],
    };
    let bytes = manifest.to_bytes();
    assert_eq!(Manifest::from_bytes(&bytes).unwrap(), manifest);
    assert!(manifest.file_name().starts_with("0707"));
    assert!(Manifest::from_bytes(&bytes[1..]).is_err());
    assert!(Manifest::from_bytes(&[]).is_err());
    let mut newer = bytes;
    newer[0] = 2;
    assert!(matches!(
        Manifest::from_bytes(&newer),
        Err(SnapshotError::Format { found: 2 })
    ));
    let empty = Manifest {
        bytes: 0,
        ..manifest
    };
    assert!(matches!(
        Manifest::from_bytes(&empty.to_bytes()),
        Err(SnapshotError::Manifest)
    ));
    let large = Manifest {
        bytes: SNAPSHOT_BYTES_MAX + 1,
        ..manifest
    };
    assert!(matches!(
        Manifest::from_bytes(&large.to_bytes()),
        Err(SnapshotError::TooLarge)
    ));
}

#[test]
fn nothing_is_left_of_a_snapshot_that_cannot_be_made() {
    let place = tempfile::tempdir().unwrap();
    make(&place.path().join("none.db"), place.path()).unwrap_err();
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
}
