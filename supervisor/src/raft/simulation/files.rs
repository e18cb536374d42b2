//! The files of a node in SQLite's hands. The simulated disk says what must be in them.

use std::fmt;

use bytes::Bytes;
use tempfile::TempDir;

use crate::dice::Dice;
use crate::power::{Image, Recording};
use crate::raft::command::Outcome;
use crate::raft::ids::RequestId;
use crate::raft::log::{Identity, LogWrite, RaftDb, StoredLog};
use crate::raft::state::{Item, MemoryState};

/// What is in files, and what is in memory alone.
#[derive(Clone, Copy)]
pub(crate) enum Ground {
    Memory,
    Log,
    /// And the state, which somebody else knows how to keep.
    Both(fn(&MemoryState) -> Box<dyn StateFile>),
}

impl fmt::Debug for Ground {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Memory => "memory",
            Self::Log => "the log in a file",
            Self::Both(_) => "both in files",
        })
    }
}

/// When power goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    Now,
    /// At some moment of what was done last.
    During,
}

/// A snapshot in a file.
#[derive(Debug, Clone)]
pub(crate) struct SnapshotFile {
    pub(crate) manifest: Bytes,
    pub(crate) content: Bytes,
}

/// A state in a file.
pub(crate) trait StateFile: fmt::Debug {
    /// Applies entries as one; their answers.
    fn apply(
        &mut self,
        items: Vec<Item>,
        is_durable: bool,
    ) -> Result<Vec<(RequestId, Outcome)>, String>;
    /// Makes everything durable; up to which entry that is.
    fn sync(&mut self) -> Result<u64, String>;
    /// Makes a snapshot.
    fn snapshot(&mut self) -> Result<SnapshotFile, String>;
    /// A snapshot takes its place.
    fn install(&mut self, snapshot: &SnapshotFile) -> Result<(), String>;
    /// Power goes, and comes back; what is left.
    fn crash(&mut self, when: When, dice: &mut Dice) -> Result<MemoryState, String>;
}

/// The log in `raft.db`.
#[derive(Debug)]
pub(super) struct LogFile {
    place: TempDir,
    recording: Recording,
    /// Gone while power is.
    db: Option<RaftDb>,
    /// When the last write began.
    begun: usize,
}

const NAME: &str = "raft.db";

fn text(error: impl fmt::Display) -> String {
    error.to_string()
}

impl LogFile {
    pub(super) fn new(me: Identity, log: &StoredLog) -> Result<Self, String> {
        let mut file = Self::open(Image::default())?;
        file.db()?.begin(me, log).map_err(text)?;
        Ok(file)
    }

    fn open(image: Image) -> Result<Self, String> {
        let place = tempfile::tempdir().map_err(text)?;
        let recording = Recording::begin(place.path(), image);
        let db = RaftDb::open(&place.path().join(NAME)).map_err(text)?;
        Ok(Self {
            begun: recording.moment(),
            place,
            recording,
            db: Some(db),
        })
    }

    fn db(&mut self) -> Result<&mut RaftDb, String> {
        self.db.as_mut().ok_or_else(|| "the log is lost".to_owned())
    }

    /// Whatever happens to the file next.
    fn begin(&mut self) -> Result<&mut RaftDb, String> {
        self.recording.settle();
        self.begun = self.recording.moment();
        self.db()
    }

    pub(super) fn write(&mut self, write: &LogWrite) -> Result<(), String> {
        self.begin()?.write(write).map_err(text)
    }

    pub(super) fn pending(&mut self) -> Result<Option<Bytes>, String> {
        self.db()?.pending_snapshot().map_err(text)
    }

    pub(super) fn installed(&mut self) -> Result<(), String> {
        self.begin()?.snapshot_installed().map_err(text)
    }

    /// What is in the journal goes to where it belongs.
    pub(super) fn checkpoint(&mut self) -> Result<(), String> {
        let path = self.place.path().join(NAME);
        self.begin()?;
        let checkpointer = crate::raft::log::Checkpointer::open(&path).map_err(text)?;
        checkpointer.run().map(drop).map_err(text)
    }

    /// Power goes, and comes back; what is left.
    pub(super) fn crash(&mut self, when: When, dice: &mut Dice) -> Result<StoredLog, String> {
        let now = self.recording.moment();
        let moment = match when {
            When::Now => now,
            When::During => self.begun + dice.below(now - self.begun + 1),
        };
        let image = self.recording.image(moment, dice);
        self.db = None;
        *self = Self::open(image)?;
        self.db()?.load().map_err(text)
    }
}
