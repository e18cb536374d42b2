//! The recording against what SQLite promises.

use std::path::Path;

use rusqlite::Connection;
use tempfile::TempDir;

use super::{Image, Recording};
use crate::dice::Dice;

const NAME: &str = "x.db";

fn open(directory: &Path, level: &str) -> rusqlite::Result<Connection> {
    let connection = Connection::open(directory.join(NAME))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", level)?;
    Ok(connection)
}

/// Rows of a sound database.
fn rows(directory: &Path) -> rusqlite::Result<usize> {
    let connection = open(directory, "FULL")?;
    let check: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    if check != "ok" {
        return Err(rusqlite::Error::InvalidQuery);
    }
    let count = "SELECT count(*) FROM t WHERE length(filling) = n * 300";
    let count: i64 = connection.query_row(count, [], |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap())
}

/// A database in which rows are written one after the other; the moments at which each was confirmed.
struct Run {
    _place: TempDir,
    recording: Recording,
    confirmed: Vec<usize>,
}

impl Run {
    fn new(level: &str) -> Self {
        let place = tempfile::tempdir().unwrap();
        let recording = Recording::begin(place.path(), Image::default());
        let connection = open(place.path(), "FULL").unwrap();
        connection
            .execute_batch("CREATE TABLE t (n INTEGER, filling BLOB)")
            .unwrap();
        connection
            .pragma_update(None, "synchronous", level)
            .unwrap();
        let mut confirmed = vec![recording.moment()];
        for row in 1..=30 {
            connection
                .execute("INSERT INTO t VALUES (?1, randomblob(?1 * 300))", [row])
                .unwrap();
            confirmed.push(recording.moment());
            if row % 10 == 0 {
                let passive = "PRAGMA wal_checkpoint(PASSIVE)";
                connection.query_row(passive, [], |_| Ok(())).unwrap();
            }
        }
        connection.close().unwrap();
        Self {
            _place: place,
            recording,
            confirmed,
        }
    }

    /// How many rows are left at the least and were confirmed by then; `None` of a file that is broken.
    fn rows_after(&self, moment: usize, dice: &mut Dice) -> (usize, Option<usize>) {
        let image = self.recording.image(moment, dice);
        let place = tempfile::tempdir().unwrap();
        let _watched = Recording::begin(place.path(), image);
        let confirmed = self.confirmed.iter().filter(|at| **at <= moment).count();
        (confirmed - 1, rows(place.path()).ok())
    }
}

/// How many images had lost something that was confirmed, and how many were broken.
fn try_images(level: &str) -> (usize, usize) {
    let mut dice = Dice::new(7);
    let run = Run::new(level);
    let (mut lost, mut broken) = (0, 0);
    let first = run.confirmed[0];
    for _ in 0..150 {
        let moment = first + dice.below(run.recording.moment() - first + 1);
        match run.rows_after(moment, &mut dice) {
            (confirmed, Some(rows)) => lost += usize::from(rows < confirmed),
            (_, None) => broken += 1,
        }
    }
    (lost, broken)
}

#[test]
fn what_is_synced_at_each_commit_is_there() {
    assert_eq!(try_images("FULL"), (0, 0));
}

#[test]
fn what_is_synced_at_checkpoints_is_sound_and_may_be_older() {
    let (lost, broken) = try_images("NORMAL");
    assert!(lost > 20, "{lost} images have lost something");
    assert_eq!(broken, 0);
}

#[test]
fn what_is_never_synced_breaks() {
    let (_, broken) = try_images("OFF");
    assert!(broken > 5, "{broken} images are broken");
}

#[test]
fn what_has_settled_is_what_it_was() {
    let run = Run::new("FULL");
    let last = run.recording.moment();
    run.recording.settle();
    assert_eq!(run.recording.moment(), last);
    let mut dice = Dice::new(3);
    for _ in 0..20 {
        assert_eq!(run.rows_after(last, &mut dice), (30, Some(30)));
    }
}

#[test]
fn other_directories_are_as_ever() {
    let (watched, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let recording = Recording::begin(watched.path(), Image::default());
    let connection = open(other.path(), "FULL").unwrap();
    connection
        .execute_batch("CREATE TABLE t (n INTEGER)")
        .unwrap();
    assert_eq!(recording.moment(), 0);
    drop(open(watched.path(), "FULL").unwrap());
    assert!(recording.moment() > 0);
}
