//! The log of a node: in memory, where the algorithm reads it, and in `raft.db`, where it survives.
//!
//! What is in memory is what is on the disk: a [`LogWrite`] is committed first, and taken into the
//! [`LogCache`] then. Compaction bounds both ([`crate::limits::LOG_KEPT_BYTES`]), so that no entry ever
//! has to be read back while the node runs.

mod cache;
mod db;
mod founding;
#[cfg(test)]
mod tests;

use bytes::Bytes;
pub use raft::eraftpb::ConfState;
use raft::eraftpb::{Entry, HardState};

pub use self::cache::{LogCache, SnapshotRequest};
pub use self::db::{Checkpointer, Identity, LogDbError, RaftDb};
pub use self::founding::Founding;

/// An entry's place in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord)]
pub struct Position {
    /// Its index.
    pub index: u64,
    /// The term of the leader that made it.
    pub term: u64,
}

impl Position {
    /// Where the log of a new cluster begins. Its first members begin as if they had applied a first
    /// entry: so whoever joins later has less than the log begins with, and gets a snapshot with the
    /// membership, which stands in no entry.
    pub const FIRST: Self = Self { index: 1, term: 1 };
}

/// One change of the log, which is made as a whole or not at all. Its parts apply in this order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LogWrite {
    /// A snapshot takes the place of the whole log.
    pub install: Option<Install>,
    /// These follow the entry before the first of them; what was there is gone.
    pub entries: Vec<Entry>,
    /// Term, vote, and how far is committed: always written, because a commit that is forgotten while
    /// the entry stays could elect a leader by a membership that is two changes old.
    pub hard: HardState,
    /// Entries up to this one go.
    pub compact_to: Option<Position>,
}

/// A snapshot that takes the place of the log, and of the state.
#[derive(Debug, Clone, PartialEq)]
pub struct Install {
    /// The last entry that is in it.
    pub at: Position,
    /// The membership as of it.
    pub conf: ConfState,
    /// What names its content, which the node has received and verified.
    pub manifest: Bytes,
}

/// What a node finds on its disk.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StoredLog {
    /// The entry before the first one; its term is still known.
    pub base: Position,
    /// Term, vote and commit.
    pub hard: HardState,
    /// The entries behind `base`.
    pub entries: Vec<Entry>,
}

/// Why a log does not fit the state beside it: a part of the disk was lost or exchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// An entry is missing.
    #[error(
        "entry {index} of the log is missing; start this node with an empty data directory, so that it joins as a new one"
    )]
    Gap {
        /// Which.
        index: u64,
    },
    /// An entry is of an earlier term than the one before it.
    #[error(
        "entry {index} of the log is none that can follow the one before it; start this node with an empty data directory, so that it joins as a new one"
    )]
    Disorder {
        /// Which.
        index: u64,
    },
    /// The state is older than the log's beginning.
    #[error(
        "the log begins behind entry {base}, the state ends at {applied}; start this node with an empty data directory, so that it joins as a new one"
    )]
    StateLost {
        /// Where the log begins.
        base: u64,
        /// Where the state ends.
        applied: u64,
    },
    /// The state is newer than the log.
    #[error(
        "the log ends at entry {last}, but {needed} was committed; start this node with an empty data directory, so that it joins as a new one"
    )]
    LogLost {
        /// Where the log ends.
        last: u64,
        /// What must be in it.
        needed: u64,
    },
}

impl StoredLog {
    /// The log of a first member of a new cluster.
    pub fn first() -> Self {
        let mut log = Self {
            base: Position::FIRST,
            ..Self::default()
        };
        log.hard.term = Position::FIRST.term;
        log.hard.commit = Position::FIRST.index;
        log
    }

    /// The log of a node that goes on alone with a state that holds all of this one: none of its entries is
    /// needed any more, and whoever joins gets a snapshot.
    pub fn ended(&self, applied: Position) -> Self {
        let mut log = Self {
            base: applied,
            ..Self::default()
        };
        log.hard.term = self.hard.term.max(applied.term);
        log.hard.commit = applied.index;
        log
    }

    /// The last index.
    pub fn last_index(&self) -> u64 {
        self.base.index + self.entries.len() as u64
    }

    /// Checks what was found against the state beside it, and notes that what was applied was
    /// committed, which may have been written there alone.
    ///
    /// # Errors
    /// [`LogError`]: the node must not take part with this log.
    pub fn reconcile(mut self, applied: u64) -> Result<Self, LogError> {
        let mut term = self.base.term;
        for (entry, index) in self.entries.iter().zip(self.base.index + 1..) {
            if entry.index != index {
                return Err(LogError::Gap { index });
            }
            if entry.term < term {
                return Err(LogError::Disorder { index });
            }
            term = entry.term;
        }
        if applied < self.base.index {
            return Err(LogError::StateLost {
                base: self.base.index,
                applied,
            });
        }
        self.hard.commit = self.hard.commit.max(applied);
        if self.hard.commit > self.last_index() {
            return Err(LogError::LogLost {
                last: self.last_index(),
                needed: self.hard.commit,
            });
        }
        Ok(self)
    }
}
