//! A node's disk: what of it survives a crash, and what mistakes would make of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::Fault;
use crate::dice::Dice;
use crate::raft::command::Outcome;
use crate::raft::ids::RequestId;
use crate::raft::log::{LogWrite, StoredLog};
use crate::raft::state::{Item, MemoryState, State, What, apply};

/// Applies entries to a state, with the mistakes that can be made in it.
pub(super) fn apply_all(
    state: &mut MemoryState,
    items: &[Item],
    fault: Option<Fault>,
) -> Result<Vec<(RequestId, Outcome)>, String> {
    let mut answers = Vec::new();
    for item in items {
        let answer = apply(state, item).map_err(|error| error.to_string())?;
        answers.extend(answer);
        if fault == Some(Fault::ForgetAnswers) {
            let Ok(()) = state.forget_answers_before(u64::MAX);
        }
    }
    Ok(answers)
}

/// The two files of a node.
#[derive(Debug, Clone, Default)]
pub(super) struct Disk {
    /// The log, as it is after a crash.
    pub(super) log: StoredLog,
    /// A snapshot that has taken the place of the log and must take that of the state.
    pending: Option<Bytes>,
    /// What is being written to the log.
    under_way: Option<LogWrite>,
    /// What the disk says that it has written, and has not.
    unwritten: Vec<LogWrite>,
    /// The state that survives any crash.
    pub(super) state: MemoryState,
    /// What was committed to the state since. A crash loses some of the newest.
    recent: Vec<Vec<Item>>,
    /// The contents of snapshots, by their names.
    files: BTreeMap<Bytes, Arc<MemoryState>>,
    /// Until when writes take long, and when they fail.
    pub(super) slow_until: u64,
    pub(super) full_until: u64,
    pub(super) fault: Option<Fault>,
}

impl Disk {
    pub(super) fn new(log: StoredLog, state: MemoryState, fault: Option<Fault>) -> Self {
        Self {
            log,
            state,
            fault,
            ..Self::default()
        }
    }

    /// A write of the log begins.
    pub(super) fn begin(&mut self, write: LogWrite) {
        self.under_way = Some(write);
    }

    /// The write that is under way is done. With a snapshot, the state is the one in it.
    pub(super) fn finish(&mut self) -> Option<MemoryState> {
        let write = self.under_way.take()?;
        let is_install = write.install.is_some();
        if self.fault == Some(Fault::LoseCommits) && !is_install {
            self.unwritten.push(write);
            if self.unwritten.len() > 3 {
                self.write_all();
            }
            return None;
        }
        self.write_all();
        self.write(&write);
        is_install.then(|| {
            self.install();
            self.state.clone()
        })
    }

    fn write_all(&mut self) {
        for write in std::mem::take(&mut self.unwritten) {
            self.write(&write);
        }
    }

    fn write(&mut self, write: &LogWrite) {
        if let Some(install) = &write.install {
            self.log.base = install.at;
            self.log.entries.clear();
            self.pending = Some(install.manifest.clone());
        }
        if let Some(first) = write.entries.first() {
            let kept = (first.index - self.log.base.index - 1) as usize;
            let end = kept + write.entries.len();
            let suffix = self.log.entries.split_off(kept.min(self.log.entries.len()));
            self.log.entries.extend(write.entries.iter().cloned());
            if self.fault == Some(Fault::KeepSuffix) {
                self.log.entries.extend(suffix.into_iter().skip(end - kept));
            }
        }
        self.log.hard = write.hard.clone();
        if self.fault == Some(Fault::ForgetVote) {
            self.log.hard.vote = 0;
        }
        if let Some(to) = write.compact_to {
            let gone = (to.index - self.log.base.index) as usize;
            self.log.entries.drain(..gone.min(self.log.entries.len()));
            self.log.base = to;
        }
    }

    /// The snapshot takes the place of the state.
    fn install(&mut self) {
        let Some(manifest) = self.pending.take() else {
            return;
        };
        if let Some(state) = self.files.get(&manifest) {
            self.state = MemoryState::clone(state);
            self.recent.clear();
        }
    }

    /// Whether it has said that it has written what it has not.
    pub(super) const fn lies(&self) -> bool {
        !self.unwritten.is_empty()
    }

    /// What the state has committed, durable or not.
    pub(super) fn commit_state(&mut self, items: Vec<Item>, is_durable: bool) {
        self.recent.push(items);
        if is_durable {
            self.checkpoint();
        }
    }

    /// Everything that the state has committed is durable. How far that is.
    pub(super) fn checkpoint(&mut self) -> u64 {
        for items in std::mem::take(&mut self.recent) {
            self.redo(items);
        }
        let Ok(applied) = self.state.applied();
        applied.index
    }

    fn redo(&mut self, mut items: Vec<Item>) {
        if self.fault == Some(Fault::ForgetConf) {
            for item in &mut items {
                if let What::Members { conf, .. } = &mut item.what {
                    *conf = conf.as_ref().map(|_| self.state.conf());
                }
            }
        }
        // It was applied once: it can be again.
        let _ = apply_all(&mut self.state, &items, self.fault);
    }

    /// Power goes: what was under way is written or not, and some of the newest commits of the state
    /// are gone.
    pub(super) fn crash(&mut self, dice: &mut Dice) {
        self.unwritten.clear();
        if let Some(write) = self.under_way.take()
            && dice.chance(500)
        {
            let is_install = write.install.is_some();
            self.write(&write);
            if is_install && dice.chance(500) {
                self.install();
            }
        }
        if self.fault == Some(Fault::ForgetInstall) {
            self.pending = None;
        }
        let kept = dice.below(self.recent.len() + 1);
        self.recent.truncate(kept);
        self.checkpoint();
    }

    /// What a node does first on its disk.
    pub(super) fn recover(&mut self) {
        self.install();
    }

    pub(super) fn put_file(&mut self, manifest: Bytes, state: Arc<MemoryState>) {
        while self.files.len() > 8 {
            self.files.pop_first();
        }
        self.files.insert(manifest, state);
    }

    pub(super) fn file(&self, manifest: &Bytes) -> Option<Arc<MemoryState>> {
        self.files.get(manifest).cloned()
    }

    /// Whether an entry is durable here, as itself or in what has taken its place.
    pub(super) fn holds(&self, index: u64, term: u64) -> bool {
        if index <= self.log.base.index {
            return true;
        }
        let at = (index - self.log.base.index - 1) as usize;
        self.log
            .entries
            .get(at)
            .is_some_and(|entry| entry.term == term)
    }
}
