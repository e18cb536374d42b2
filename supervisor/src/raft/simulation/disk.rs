//! A node's disk: what of it survives a crash, and what mistakes would make of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::files::{Ground, LogFile, SnapshotFile, StateFile, When};
use super::{Checked, Fault, must};
use crate::dice::Dice;
use crate::raft::command::Outcome;
use crate::raft::ids::RequestId;
use crate::raft::log::{Identity, LogWrite, StoredLog};
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

fn redo(state: &mut MemoryState, mut items: Vec<Item>, fault: Option<Fault>) {
    if fault == Some(Fault::ForgetConf) {
        for item in &mut items {
            if let What::Members { conf, .. } = &mut item.what {
                *conf = conf.as_ref().map(|_| state.conf());
            }
        }
    }
    // It was applied once: it can be again.
    let _ = apply_all(state, &items, fault);
}

/// What a snapshot holds.
#[derive(Debug, Clone)]
pub(super) struct Content {
    pub(super) state: MemoryState,
    /// The same, where states are in files.
    pub(super) file: Option<SnapshotFile>,
}

/// The two files of a node: what must be in them, and with some seeds the files themselves.
#[derive(Debug)]
pub(super) struct Disk {
    /// The log, as it is after a crash.
    pub(super) log: StoredLog,
    log_file: Option<LogFile>,
    /// A snapshot that has taken the place of the log and must take that of the state.
    pending: Option<Bytes>,
    /// What is being written to the log.
    under_way: Option<LogWrite>,
    /// What the disk says that it has written, and has not.
    unwritten: Vec<LogWrite>,
    /// The state that survives any crash.
    pub(super) state: MemoryState,
    state_file: Option<Box<dyn StateFile>>,
    /// What was committed to the state since. A crash loses some of the newest.
    recent: Vec<Vec<Item>>,
    /// What crashes took from the state's file. It may come back: a frame of SQLite's journal that is
    /// written again as it was makes those behind it valid, if they had survived. They are of the same
    /// entries.
    lost: Vec<MemoryState>,
    /// The contents of snapshots, by their names.
    files: BTreeMap<Bytes, Arc<Content>>,
    /// What becomes of files in a crash: apart, so that it changes nothing else that is drawn.
    dice: Dice,
    /// Until when writes take long, and when they fail.
    pub(super) slow_until: u64,
    pub(super) full_until: u64,
    fault: Option<Fault>,
    /// What the files have done that they must not.
    broken: Option<String>,
}

impl Disk {
    pub(super) fn new(
        me: Identity,
        log: StoredLog,
        state: MemoryState,
        ground: Ground,
        fault: Option<Fault>,
    ) -> Self {
        let mut disk = Self {
            log_file: None,
            state_file: None,
            log,
            state,
            fault,
            pending: None,
            under_way: None,
            unwritten: Vec::new(),
            recent: Vec::new(),
            lost: Vec::new(),
            files: BTreeMap::new(),
            dice: Dice::new(me.id.get()),
            slow_until: 0,
            full_until: 0,
            broken: None,
        };
        if !matches!(ground, Ground::Memory) {
            let file = LogFile::new(me, &disk.log);
            disk.log_file = disk.note(file);
        }
        if let Ground::Both(make) = ground {
            disk.state_file = Some(make(&disk.state));
        }
        disk
    }

    /// Remembers what must not be.
    fn note<T>(&mut self, result: Result<T, String>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(why) => {
                self.broken.get_or_insert(why);
                None
            }
        }
    }

    fn in_log<T>(&mut self, act: impl FnOnce(&mut LogFile) -> Result<T, String>) -> Option<T> {
        let done = act(self.log_file.as_mut()?);
        self.note(done)
    }

    fn in_state<T>(
        &mut self,
        act: impl FnOnce(&mut dyn StateFile) -> Result<T, String>,
    ) -> Option<T> {
        let done = act(self.state_file.as_mut()?.as_mut());
        self.note(done)
    }

    /// Whether the files are as they must be.
    pub(super) fn checked(&self) -> Checked {
        must(self.broken.is_none(), || {
            format!("a file: {:?}", self.broken)
        })
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
        let write = self.with_mistakes(write.clone());
        self.in_log(|file| file.write(&write));
        self.change(&write);
    }

    /// What is written in the place of what was to be.
    fn with_mistakes(&self, mut write: LogWrite) -> LogWrite {
        let last = write.entries.last().map(|entry| entry.index);
        if let Some(last) = last.filter(|_| self.fault == Some(Fault::KeepSuffix)) {
            let suffix = self.log.entries.iter().filter(|entry| entry.index > last);
            write.entries.extend(suffix.cloned());
        }
        if self.fault == Some(Fault::ForgetVote) {
            write.hard.vote = 0;
        }
        write
    }

    fn change(&mut self, write: &LogWrite) {
        if let Some(install) = &write.install {
            self.log.base = install.at;
            self.log.entries.clear();
            self.pending = Some(install.manifest.clone());
        }
        if let Some(first) = write.entries.first() {
            let kept = (first.index - self.log.base.index - 1) as usize;
            self.log.entries.truncate(kept);
            self.log.entries.extend(write.entries.iter().cloned());
        }
        self.log.hard = write.hard.clone();
        if let Some(to) = write.compact_to {
            let gone = (to.index - self.log.base.index) as usize;
            self.log.entries.drain(..gone.min(self.log.entries.len()));
            self.log.base = to;
        }
    }

    /// The snapshot takes the place of the state.
    fn install(&mut self) {
        if self.put_in_place() {
            self.in_log(LogFile::installed);
        }
    }

    fn put_in_place(&mut self) -> bool {
        let Some(manifest) = self.pending.take() else {
            return false;
        };
        if let Some(content) = self.files.get(&manifest).cloned() {
            self.state = content.state.clone();
            self.recent.clear();
            if let Some(snapshot) = &content.file {
                self.in_state(|file| file.install(snapshot));
            }
        }
        true
    }

    /// Whether it has said that it has written what it has not.
    pub(super) const fn lies(&self) -> bool {
        !self.unwritten.is_empty()
    }

    /// What the state has committed, durable or not, and what must have come of it.
    pub(super) fn commit_state(
        &mut self,
        items: Vec<Item>,
        answers: &[(RequestId, Outcome)],
        is_durable: bool,
    ) {
        if self.state_file.is_some() {
            let again = items.clone();
            let found = self.in_state(|file| file.apply(again, is_durable));
            if found.as_deref().is_some_and(|found| found != answers) {
                self.note::<()>(Err(format!("the state answers {found:?}, not {answers:?}")));
            }
        }
        self.recent.push(items);
        if is_durable {
            self.redo_all();
        }
    }

    /// Everything that the state has committed is durable. How far that is.
    pub(super) fn checkpoint(&mut self) -> u64 {
        self.redo_all();
        let Ok(applied) = self.state.applied();
        self.in_log(LogFile::checkpoint);
        if let Some(synced) = self.in_state(|file| file.sync())
            && synced != applied.index
        {
            self.note::<()>(Err(format!("{synced} was synced, not {applied:?}")));
        }
        applied.index
    }

    fn redo_all(&mut self) {
        for items in std::mem::take(&mut self.recent) {
            redo(&mut self.state, items, self.fault);
        }
    }

    /// What the state may be after a crash.
    fn possible_states(&self) -> Vec<MemoryState> {
        let mut state = self.state.clone();
        let mut states = vec![state.clone()];
        for items in &self.recent {
            redo(&mut state, items.clone(), self.fault);
            states.push(state.clone());
        }
        states
    }

    /// Power goes: what was under way is written or not, and some of the newest commits of the state
    /// are gone.
    pub(super) fn crash(&mut self, dice: &mut Dice) {
        self.unwritten.clear();
        let (mut log_when, mut state_when) = (When::Now, When::Now);
        let before = self.log.clone();
        let mut states = Vec::new();
        if self.state_file.is_some() {
            states = self.possible_states();
        }
        if let Some(write) = self.under_way.take()
            && dice.chance(500)
        {
            let is_install = write.install.is_some();
            self.write(&write);
            log_when = When::During;
            if is_install && dice.chance(500) {
                log_when = When::Now;
                state_when = When::During;
                self.put_in_place();
                states.push(self.state.clone());
            }
        }
        self.reread_log(&before, log_when);
        if self.fault == Some(Fault::ForgetInstall) {
            self.pending = None;
            self.in_log(LogFile::installed);
        }
        let kept = dice.below(self.recent.len() + 1);
        if self.state_file.is_some() {
            self.reread_state(&states, state_when);
        } else {
            self.recent.truncate(kept);
            self.redo_all();
        }
    }

    /// What the file holds after a crash: what was there before the last write, or what is since.
    fn reread_log(&mut self, before: &StoredLog, when: When) {
        let Some(file) = &mut self.log_file else {
            return;
        };
        let found = file.crash(when, &mut self.dice);
        let Some(found) = self.note(found) else {
            return;
        };
        let is_old = when == When::During && found == *before;
        if found != self.log && !is_old {
            let why = format!("the log is {found:?}, and was {:?}", self.log);
            self.note::<()>(Err(why));
        }
        self.log = found;
        self.pending = self.in_log(LogFile::pending).flatten();
    }

    /// The same of the state, which may be one of these.
    fn reread_state(&mut self, states: &[MemoryState], when: When) {
        let Some(file) = &mut self.state_file else {
            return;
        };
        let found = file.crash(when, &mut self.dice);
        let Some(found) = self.note(found) else {
            return;
        };
        if !states.contains(&found) && !self.lost.contains(&found) {
            let possible: Vec<_> = states.iter().map(State::applied).collect();
            let ends = found.applied();
            let why =
                format!("{when:?}: the state ends at {ends:?}: {possible:?}; it is {found:?}");
            self.note::<()>(Err(why));
        }
        self.recent.clear();
        self.lost.extend(states.iter().cloned());
        self.lost.retain(|state| state.applied() > found.applied());
        self.state = found;
    }

    /// A snapshot of the state in its file.
    pub(super) fn snapshot_file(&mut self) -> Option<SnapshotFile> {
        self.in_state(|file| file.snapshot())
    }

    /// What a node does first on its disk.
    pub(super) fn recover(&mut self) {
        self.install();
    }

    pub(super) fn put_file(&mut self, manifest: Bytes, content: Arc<Content>) {
        while self.files.len() > 8 {
            self.files.pop_first();
        }
        self.files.insert(manifest, content);
    }

    pub(super) fn file(&self, manifest: &Bytes) -> Option<Arc<Content>> {
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
