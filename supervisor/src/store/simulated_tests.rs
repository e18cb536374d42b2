//! The simulator of a cluster over real files: of each node the log, and the state as the store keeps it,
//! with all that the thread of a node asks of it.

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::sync::mpsc::{SyncSender, sync_channel};

use bytes::Bytes;
use rusqlite::Connection;
use tempfile::TempDir;

use super::place::{DATABASE_NAME, Place};
use super::replica::Replica;
use super::replica::tests::read_back;
use super::replication::{ReplicationError, SharedOrder};
use super::snapshot::{self, Manifest};
use super::{SharedState, StorePlace, schema};
use crate::dice::Dice;
use crate::power::{Image, Recording};
use crate::raft::command::Outcome;
use crate::raft::ids::RequestId;
use crate::raft::simulation::{
    Fault, Ground, SnapshotFile, StateFile, When, heaps, mistakes_are_found, seed_on,
    seeds_of_the_environment, seeds_on,
};
use crate::raft::state::{Item, MemoryState, State as _};

/// Seeds of an ordinary run of the tests.
const SEEDS: u64 = 60;

/// The database of a node.
struct StateDatabase {
    place: TempDir,
    recording: Recording,
    /// Gone while power is.
    connection: Option<Connection>,
    /// When the last change began.
    begun: usize,
}

impl fmt::Debug for StateDatabase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.place.path().display())
    }
}

fn text(error: impl fmt::Display) -> String {
    error.to_string()
}

impl StateDatabase {
    fn open(image: Image) -> Result<Self, String> {
        let directory = tempfile::tempdir().map_err(text)?;
        let recording = Recording::begin(directory.path(), image);
        let place = StorePlace::Directory(directory.path().to_owned());
        let place = Place::prepare(place).map_err(text)?;
        let mut connection = place.open_writer().map_err(text)?;
        schema::migrate(&mut connection).map_err(text)?;
        Ok(Self {
            begun: recording.moment(),
            place: directory,
            recording,
            connection: Some(connection),
        })
    }

    /// Where the first members of a cluster, or later ones, begin.
    fn begin(first: &MemoryState) -> Result<Self, String> {
        let mut state = Self::open(Image::default())?;
        let mut replica = Replica::new(state.connection()?);
        for heap in heaps() {
            if let Ok(Some(used)) = first.heap_used("t", &heap) {
                replica.put_heap("t", &heap, 1, used).map_err(text)?;
            }
        }
        let (Ok(applied), Ok(members)) = (first.applied(), first.members());
        let conf = first.conf();
        let found = SharedState {
            applied,
            conf,
            members,
        };
        state.order(|reply| SharedOrder::Found(Box::new(found), reply))?;
        Ok(state)
    }

    fn connection(&mut self) -> Result<&mut Connection, String> {
        let lost = || "the state is lost".to_owned();
        self.connection.as_mut().ok_or_else(lost)
    }

    fn database(&self) -> PathBuf {
        self.place.path().join(DATABASE_NAME)
    }

    /// Has done what the store's writer would be asked for.
    fn order<T>(
        &mut self,
        order: impl FnOnce(SyncSender<Result<T, ReplicationError>>) -> SharedOrder,
    ) -> Result<T, String> {
        self.begun = self.recording.moment();
        let (reply, answer) = sync_channel(1);
        order(reply).obey(self.connection()?);
        answer.recv().map_err(text)?.map_err(text)
    }
}

impl StateFile for StateDatabase {
    fn apply(
        &mut self,
        items: Vec<Item>,
        is_durable: bool,
    ) -> Result<Vec<(RequestId, Outcome)>, String> {
        let applied = self.order(|reply| SharedOrder::Apply(items, is_durable, reply))?;
        Ok(applied.answers)
    }

    fn sync(&mut self) -> Result<u64, String> {
        let synced = self.order(SharedOrder::Sync)?;
        // As SQLite does by itself when its journal has become long.
        let passive = "PRAGMA wal_checkpoint(PASSIVE)";
        let moved = self.connection()?.query_row(passive, [], |_| Ok(()));
        moved.map_err(text)?;
        self.recording.settle();
        Ok(synced)
    }

    fn snapshot(&mut self) -> Result<SnapshotFile, String> {
        let made = snapshot::make(&self.database(), self.place.path()).map_err(text)?;
        let content = fs::read(&made.path).map_err(text)?;
        fs::remove_file(&made.path).map_err(text)?;
        Ok(SnapshotFile {
            manifest: Bytes::from(made.manifest.to_bytes()),
            content: Bytes::from(content),
        })
    }

    fn install(&mut self, file: &SnapshotFile) -> Result<(), String> {
        let manifest = Manifest::from_bytes(&file.manifest).map_err(text)?;
        let path = self.place.path().join(manifest.file_name());
        fs::write(&path, &file.content).map_err(text)?;
        snapshot::verify(&path, &manifest).map_err(text)?;
        let from = path.clone();
        self.order(|reply| SharedOrder::Install(from, Box::new(manifest), reply))?;
        fs::remove_file(&path).map_err(text)
    }

    fn crash(&mut self, when: When, dice: &mut Dice) -> Result<MemoryState, String> {
        let now = self.recording.moment();
        let moment = match when {
            When::Now => now,
            When::During => self.begun + dice.below(now - self.begun + 1),
        };
        let image = self.recording.image(moment, dice);
        self.connection = None;
        *self = Self::open(image)?;
        Ok(read_back(self.connection()?))
    }
}

fn make(first: &MemoryState) -> Box<dyn StateFile> {
    Box::new(StateDatabase::begin(first).unwrap())
}

#[test]
fn seeds_with_all_in_files() {
    seeds_on(Ground::Both(make), 1..SEEDS + 1);
}

/// Those about what lies on a disk that few seeds find. They are made in what is written to the files too.
#[test]
fn mistakes_with_files_are_found() {
    let faults = [
        Fault::SpeakBeforeCommit,
        Fault::CompactTooEarly,
        Fault::KeepSuffix,
        Fault::LoseCommits,
        Fault::ReuseId,
    ];
    mistakes_are_found(&faults, |_| Ground::Both(make));
}

/// A journal that had lost one commit and kept the next had both, when the first was made again as it was.
#[test]
fn what_a_crash_took_may_come_back_as_it_was() {
    for seed in [4_000_604, 4_000_653] {
        assert_eq!(seed_on(Ground::Both(make), seed), Ok(()));
    }
}

#[test]
fn many_seeds_with_all_in_files() {
    seeds_of_the_environment(|_| Ground::Both(make));
}
