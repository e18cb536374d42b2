//! A node to be cut off from power: what its thread does to its files, at random, on a disk that is
//! watched, and what was promised of it at each moment.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use bytes::Bytes;
use raft::eraftpb::{Entry, HardState};
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::crash_log_tests::{Leader, Source, beginning, first_members, item, me, open_store};
use super::files::{Files, FilesError};
use crate::dice::Dice;
use crate::power::{Image, Recording};
use crate::raft::log::{Checkpointer, Identity, Install, LogWrite, Position, StoredLog};
use crate::raft::state::{Item, MemoryState, State as _, What, apply};
use crate::store::snapshot::Made;
use crate::store::{Store, read_back};

pub(super) const STATE_NAME: &str = "executions.db";

/// A deliberate mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The log is not synced at each commit.
    LogNormal,
    /// The log is never synced.
    LogOff,
    /// The disk says that it has synced the log, and has not.
    LogDiskLies,
    /// The same of the state.
    StateDiskLies,
    /// The state is taken for durable without having been synced.
    SyncForgotten,
    /// The same, of changes of the membership.
    ApplyNotDurable,
    /// The log is cut behind what the state has made durable.
    CompactTooEarly,
    /// The marker is written when the state has been replaced.
    MarkerLate,
    /// No marker is written.
    NoMarker,
}

impl Fault {
    pub(super) const ALL: [Self; 9] = [
        Self::LogNormal,
        Self::LogOff,
        Self::LogDiskLies,
        Self::StateDiskLies,
        Self::SyncForgotten,
        Self::ApplyNotDurable,
        Self::CompactTooEarly,
        Self::MarkerLate,
        Self::NoMarker,
    ];
}

/// A file of a snapshot, which lies in the node's directory.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) name: String,
    pub(super) content: Vec<u8>,
}

/// What holds from a moment on, whatever happens to power.
#[derive(Debug, Clone)]
pub(super) struct Promise {
    pub(super) moment: usize,
    /// What the log is; `None` before the node has begun.
    pub(super) log: Option<Arc<StoredLog>>,
    /// How far the state is durable.
    pub(super) durable: u64,
    /// How far it is applied.
    pub(super) applied: u64,
    pub(super) arrived: Option<Arc<Arrived>>,
}

/// The node.
pub(super) struct Node<'a> {
    runtime: &'a Runtime,
    dice: Dice,
    fault: Option<Fault>,
    place: TempDir,
    pub(super) recording: Recording,
    opened: Option<(Store, Files)>,
    source: Source,
    log: StoredLog,
    model: MemoryState,
    durable: u64,
    history: Vec<Item>,
    leader: Option<Leader>,
    pub(super) promises: Vec<Promise>,
    /// What the state is, wherever it may end.
    pub(super) states: BTreeMap<u64, MemoryState>,
    pub(super) installs: u64,
    /// How often the disk was full.
    pub(super) full: u64,
}

impl<'a> Node<'a> {
    /// A node that has begun.
    pub(super) fn new(runtime: &'a Runtime, seed: u64, fault: Option<Fault>) -> Self {
        let place = tempfile::tempdir().unwrap();
        let recording = Recording::begin(place.path(), Image::default());
        match fault {
            Some(Fault::LogDiskLies) => recording.lie_about("raft.db"),
            Some(Fault::StateDiskLies) => recording.lie_about(STATE_NAME),
            _ => {}
        }
        let (members, conf) = first_members();
        let model = MemoryState::first(members.present, &conf);
        let nothing = Promise {
            moment: 0,
            log: None,
            durable: 1,
            applied: 1,
            arrived: None,
        };
        let mut node = Self {
            runtime,
            dice: Dice::new(seed),
            fault,
            place,
            recording,
            opened: None,
            source: Source::new(seed),
            log: StoredLog::first(),
            states: BTreeMap::from([(1, model.clone())]),
            model,
            durable: 1,
            history: Vec::new(),
            leader: None,
            promises: vec![nothing],
            installs: 0,
            full: 0,
        };
        node.open();
        node.files().begin(me(), beginning()).unwrap();
        node.promise(None);
        node
    }

    fn open(&mut self) {
        let store = open_store(self.place.path()).unwrap();
        let files = Files::open(self.place.path(), store.replication()).unwrap();
        self.opened = Some((store, files));
        self.break_log();
    }

    fn break_log(&mut self) {
        match self.fault {
            Some(Fault::LogNormal) => self.files().loosen_log("NORMAL"),
            Some(Fault::LogOff) => self.files().loosen_log("OFF"),
            _ => {}
        }
    }

    fn files(&mut self) -> &mut Files {
        let (_, files) = self.opened.as_mut().unwrap();
        files
    }

    /// The others are lost for good: it goes on alone, from this moment on.
    pub(super) fn goes_on_alone(&mut self) -> Identity {
        self.files().resume_alone().unwrap()
    }

    /// What its files hold.
    pub(super) fn found(&mut self, me: Identity) -> (StoredLog, MemoryState) {
        let begin = self.files().load(me).unwrap();
        let connection = Connection::open(self.place.path().join(STATE_NAME)).unwrap();
        (begin.log, read_back(&connection))
    }

    /// What is so by now stays so.
    fn promise(&mut self, arrived: Option<Arc<Arrived>>) {
        self.promises.push(Promise {
            moment: self.recording.moment(),
            log: Some(Arc::new(self.log.clone())),
            durable: self.durable,
            applied: self.applied().index,
            arrived,
        });
    }

    fn applied(&self) -> Position {
        let Ok(applied) = self.model.applied();
        applied
    }

    /// One thing that the thread of a node does.
    pub(super) fn step(&mut self) {
        match self.dice.below(105) {
            100.. => self.on_a_full_disk(),
            0..32 => self.append(),
            32..60 => self.apply(),
            60..65 => self.vote(),
            65..71 => self.sync(),
            71..79 => self.compact(),
            79..84 => self.checkpoint_log(),
            84..89 => self.checkpoint_state(),
            89..94 => self.install(),
            94..96 => self.own_snapshot(),
            _ => self.restart(),
        }
        self.promise(None);
    }

    /// It does something while there is room for a few writes, and begins again from its files if that was
    /// not enough.
    fn on_a_full_disk(&mut self) {
        if self.fault.is_some() {
            return;
        }
        let room = self.dice.below(12);
        self.recording.leave_room(Some(room));
        match self.dice.below(4) {
            0 => self.append(),
            1 => self.apply(),
            2 => self.sync(),
            _ => self.install(),
        }
        self.recording.leave_room(None);
    }

    /// What the node's thread does when its disk is full, and there is room again.
    fn begin_again(&mut self, error: &FilesError) {
        assert!(error.is_full(), "{error}");
        self.full += 1;
        self.recording.leave_room(None);
        let state = self.files().state().clone();
        let (_, files) = self.opened.as_mut().unwrap();
        *files = Files::open(self.place.path(), state).unwrap();
        self.break_log();
    }

    fn write(&mut self, write: &LogWrite) {
        match self.files().persist(write) {
            Ok(_) => self.change_log(write),
            Err(error) => {
                self.begin_again(&error);
                assert_eq!(self.files().load(me()).unwrap().log, self.log);
            }
        }
    }

    fn change_log(&mut self, write: &LogWrite) {
        let log = &mut self.log;
        if let Some(install) = &write.install {
            log.base = install.at;
            log.entries.clear();
        }
        if let Some(first) = write.entries.first() {
            log.entries.retain(|entry| entry.index < first.index);
            log.entries.extend(write.entries.iter().cloned());
        }
        log.hard = write.hard.clone();
        if let Some(to) = write.compact_to {
            log.entries.retain(|entry| entry.index > to.index);
            log.base = to;
        }
    }

    fn append(&mut self) {
        let mut hard = self.log.hard.clone();
        let back = self.dice.below(4) as u64;
        let next = self.log.last_index() + 1;
        let first = next.saturating_sub(back).max(hard.commit + 1);
        if first < next || self.dice.chance(100) {
            (hard.term, hard.vote) = (hard.term + 1, 0);
        }
        let count = self.dice.between(1, 4);
        let entries: Vec<Entry> = (first..first + count)
            .map(|index| {
                let at = Position {
                    index,
                    term: hard.term,
                };
                self.source.entry(at, &mut self.dice)
            })
            .collect();
        hard.commit = self.dice.between(hard.commit, first + count - 1);
        let write = LogWrite {
            entries,
            hard,
            ..LogWrite::default()
        };
        self.write(&write);
    }

    fn vote(&mut self) {
        let mut hard = self.log.hard.clone();
        (hard.term, hard.vote) = (hard.term + 1, 7);
        let write = LogWrite {
            hard,
            ..LogWrite::default()
        };
        self.write(&write);
    }

    fn entry(&self, index: u64) -> Option<&Entry> {
        let mut entries = self.log.entries.iter();
        entries.find(|entry| entry.index == index)
    }

    fn apply(&mut self) {
        let before = self.model.clone();
        let from = self.applied().index;
        let to = (from + self.dice.between(1, 6)).min(self.log.hard.commit);
        let mut items = Vec::new();
        let mut answers = Vec::new();
        for index in from + 1..=to {
            let item = item(self.entry(index).unwrap(), &self.model.conf());
            answers.extend(apply(&mut self.model, &item).unwrap());
            items.push(item);
        }
        if items.is_empty() {
            return;
        }
        let is_about_members = |item: &Item| matches!(item.what, What::Members { .. });
        let must_be_durable = items.iter().any(is_about_members) || self.dice.chance(100);
        let is_durable = must_be_durable && self.fault != Some(Fault::ApplyNotDurable);
        match self.files().state().apply(items.clone(), is_durable) {
            Ok(applied) => assert_eq!(applied.answers, answers),
            Err(error) => {
                self.model = before;
                return self.begin_again(&error.into());
            }
        }
        self.history.extend(items);
        self.states.insert(to, self.model.clone());
        if must_be_durable {
            self.durable = to;
        }
    }

    fn sync(&mut self) {
        if self.fault != Some(Fault::SyncForgotten) {
            match self.files().state().sync() {
                Ok(durable) => assert_eq!(durable, self.applied().index),
                Err(error) => return self.begin_again(&error.into()),
            }
        }
        self.durable = self.applied().index;
    }

    fn compact(&mut self) {
        let base = self.log.base.index;
        let most = match self.fault {
            Some(Fault::CompactTooEarly) => self.applied().index,
            _ => self.durable,
        };
        if most <= base {
            return;
        }
        let index = self.dice.between(base + 1, most);
        let term = self.entry(index).unwrap().term;
        let write = LogWrite {
            hard: self.log.hard.clone(),
            compact_to: Some(Position { index, term }),
            ..LogWrite::default()
        };
        self.write(&write);
    }

    fn checkpoint_log(&mut self) {
        let path = self.files().raft_db();
        Checkpointer::open(&path).unwrap().run().unwrap();
    }

    /// What the store's writer does by itself when its journal has become long.
    fn checkpoint_state(&mut self) {
        let connection = Connection::open(self.place.path().join(STATE_NAME)).unwrap();
        connection
            .pragma_update(None, "synchronous", "NORMAL")
            .unwrap();
        let passive = "PRAGMA wal_checkpoint(PASSIVE)";
        connection.query_row(passive, [], |_| Ok(())).unwrap();
    }

    fn own_snapshot(&mut self) {
        let snapshots = self.files().snapshots();
        let made = self.files().state().make_snapshot(&snapshots).unwrap();
        assert_eq!(made.manifest.at, self.applied());
        fs::remove_file(made.path).unwrap();
    }

    /// The server ends in good order, and begins again.
    fn restart(&mut self) {
        let (store, files) = self.opened.take().unwrap();
        drop(files);
        self.runtime.block_on(store.close()).unwrap();
        self.open();
        assert_eq!(self.files().resume().unwrap(), me());
    }

    /// The rest of the cluster is ahead, and has forgotten what this node lacks.
    fn install(&mut self) {
        let mut hard = self.log.hard.clone();
        hard.term += 1;
        let to = self.log.last_index() + self.dice.between(1, 5);
        let mut model = self.model.clone();
        for index in self.applied().index + 1..=to {
            let at = Position {
                index,
                term: hard.term,
            };
            let known = self.entry(index).filter(|_| index <= hard.commit).cloned();
            let entry = known.unwrap_or_else(|| self.source.entry(at, &mut self.dice));
            let item = item(&entry, &model.conf());
            apply(&mut model, &item).unwrap();
            self.history.push(item);
        }
        hard.commit = to;
        let snapshots = self.files().snapshots();
        let leader = self.leader.get_or_insert_with(Leader::new);
        let made = leader.snapshot(&self.history, &snapshots);
        let arrived = Arc::new(Arrived {
            name: made.manifest.file_name(),
            content: fs::read(&made.path).unwrap(),
        });
        self.promise(Some(Arc::clone(&arrived)));
        if let Err(error) = self.install_from(&made, hard.clone()) {
            self.begin_again(&error);
            // The leader sends it again.
            fs::write(&made.path, &arrived.content).unwrap();
            self.install_from(&made, hard.clone()).unwrap();
        }
        let Ok(at) = model.applied();
        assert_eq!(at, made.manifest.at);
        (self.log.base, self.log.hard) = (at, hard);
        self.log.entries.clear();
        self.states.insert(to, model.clone());
        (self.model, self.durable) = (model, to);
        self.installs += 1;
        fs::remove_file(made.path).unwrap();
    }

    fn install_from(&mut self, made: &Made, hard: HardState) -> Result<(), FilesError> {
        let mut write = LogWrite {
            install: Some(Install {
                at: made.manifest.at,
                conf: made.conf.clone(),
                manifest: Bytes::from(made.manifest.to_bytes()),
            }),
            hard,
            ..LogWrite::default()
        };
        let state = self.files().state().clone();
        let install = || state.install(made.path.clone(), made.manifest).unwrap();
        match self.fault {
            Some(Fault::MarkerLate) => {
                install();
                self.files().persist(&write).unwrap();
            }
            Some(Fault::NoMarker) => {
                write.compact_to = write.install.take().map(|install| install.at);
                self.files().persist(&write).unwrap();
                install();
            }
            _ => {
                self.files().persist(&write)?;
            }
        }
        Ok(())
    }
}
