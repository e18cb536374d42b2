//! The log in memory.

use std::cell::Cell;
use std::collections::VecDeque;

use raft::eraftpb::{ConfState, Entry, HardState, Snapshot};
use raft::{Error, GetEntriesContext, RaftState, Storage, StorageError};

use super::{LogWrite, Position, StoredLog};

/// The log as it is on the disk.
#[derive(Debug)]
pub struct LogCache {
    base: Position,
    entries: VecDeque<Entry>,
    bytes: u64,
    hard: HardState,
    /// The membership that this node started with; later ones are the algorithm's to know.
    conf: ConfState,
    snapshot: Option<Snapshot>,
    /// Set where the trait lets us change nothing.
    wanted: Cell<Option<SnapshotRequest>>,
}

/// A snapshot that the algorithm would send if there was one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotRequest {
    /// To this node.
    pub to: u64,
    /// Not older than this.
    pub at_least: u64,
}

impl LogCache {
    /// What is on the disk, with the membership as of the state.
    pub fn new(stored: StoredLog, conf: ConfState) -> Self {
        let bytes = stored.entries.iter().map(weight).sum();
        Self {
            base: stored.base,
            entries: stored.entries.into(),
            bytes,
            hard: stored.hard,
            conf,
            snapshot: None,
            wanted: Cell::new(None),
        }
    }

    /// Takes over what was committed to the disk.
    pub fn written(&mut self, write: &LogWrite) {
        if let Some(install) = &write.install {
            self.base = install.at;
            self.entries.clear();
            self.bytes = 0;
        }
        if let Some(first) = write.entries.first() {
            let kept = usize::try_from(first.index.saturating_sub(self.base.index + 1));
            self.drop_from(kept.unwrap_or(usize::MAX));
            self.bytes += write.entries.iter().map(weight).sum::<u64>();
            self.entries.extend(write.entries.iter().cloned());
        }
        self.hard = write.hard.clone();
        if let Some(to) = write.compact_to {
            self.compact(to);
        }
    }

    /// A snapshot that can be sent from now on.
    pub fn offer(&mut self, snapshot: Snapshot) {
        self.snapshot = Some(snapshot);
    }

    /// Which snapshot was missing since this was last asked.
    pub fn wanted(&self) -> Option<SnapshotRequest> {
        self.wanted.take()
    }

    /// The entry before the first.
    pub const fn base(&self) -> Position {
        self.base
    }

    /// What all entries take, in bytes.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Term, vote and commit as they are on the disk.
    pub const fn hard(&self) -> &HardState {
        &self.hard
    }

    /// The last entry of the log.
    pub fn last(&self) -> Position {
        self.entries.back().map_or(self.base, |entry| Position {
            index: entry.index,
            term: entry.term,
        })
    }

    /// An entry's place, when it is in the log or just before it.
    pub fn position(&self, index: u64) -> Option<Position> {
        if index == self.base.index {
            return Some(self.base);
        }
        self.get(index).map(|entry| Position {
            index,
            term: entry.term,
        })
    }

    /// The first entry that stays when the newest ones that take so many bytes do.
    pub fn first_within(&self, bytes: u64) -> u64 {
        let mut left = bytes;
        for entry in self.entries.iter().rev() {
            match left.checked_sub(weight(entry)) {
                Some(rest) => left = rest,
                None => return entry.index + 1,
            }
        }
        self.base.index + 1
    }

    fn get(&self, index: u64) -> Option<&Entry> {
        let at = index.checked_sub(self.base.index + 1)?;
        self.entries.get(usize::try_from(at).ok()?)
    }

    fn drop_from(&mut self, kept: usize) {
        while self.entries.len() > kept {
            if let Some(entry) = self.entries.pop_back() {
                self.bytes -= weight(&entry);
            }
        }
    }

    fn compact(&mut self, to: Position) {
        while self
            .entries
            .front()
            .is_some_and(|entry| entry.index <= to.index)
        {
            if let Some(entry) = self.entries.pop_front() {
                self.bytes -= weight(&entry);
                self.base = Position {
                    index: entry.index,
                    term: entry.term,
                };
            }
        }
        let is_useless = |snapshot: &Snapshot| snapshot.get_metadata().index < self.base.index;
        if self.snapshot.as_ref().is_some_and(is_useless) {
            self.snapshot = None;
        }
    }
}

/// What an entry takes in memory, about.
fn weight(entry: &Entry) -> u64 {
    (entry.data.len() + entry.context.len() + size_of::<Entry>()) as u64
}

impl Storage for LogCache {
    fn initial_state(&self) -> raft::Result<RaftState> {
        Ok(RaftState::new(self.hard.clone(), self.conf.clone()))
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        if low <= self.base.index {
            return Err(Error::Store(StorageError::Compacted));
        }
        assert!(
            high <= self.last().index + 1,
            "entries up to {high} are asked for; the last is {}",
            self.last().index
        );
        let from = usize::try_from(low - self.base.index - 1).unwrap_or(usize::MAX);
        let to = usize::try_from(high - self.base.index - 1).unwrap_or(usize::MAX);
        let mut found: Vec<Entry> = self.entries.range(from..to).cloned().collect();
        raft::util::limit_size(&mut found, max_size.into());
        Ok(found)
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        match self.position(index) {
            Some(position) => Ok(position.term),
            None if index < self.base.index => Err(Error::Store(StorageError::Compacted)),
            None => Err(Error::Store(StorageError::Unavailable)),
        }
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.base.index + 1)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.last().index)
    }

    fn snapshot(&self, request_index: u64, to: u64) -> raft::Result<Snapshot> {
        let fits = |snapshot: &&Snapshot| {
            let metadata = snapshot.get_metadata();
            let conf = metadata.get_conf_state();
            // Who is not in it would refuse it for ever.
            let names_it = conf.get_voters().contains(&to)
                || conf.get_learners().contains(&to)
                || conf.get_voters_outgoing().contains(&to);
            names_it && metadata.index >= request_index.max(self.base.index)
        };
        if let Some(snapshot) = self.snapshot.as_ref().filter(fits) {
            return Ok(snapshot.clone());
        }
        self.wanted.set(Some(SnapshotRequest {
            to,
            at_least: request_index.max(self.base.index),
        }));
        Err(Error::Store(StorageError::SnapshotTemporarilyUnavailable))
    }
}
