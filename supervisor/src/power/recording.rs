//! What has happened to the files of a directory, in its order.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::image::Image;
use super::vfs;
use crate::dice::Dice;

/// A file, whatever it is called: its number among those of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FileNumber(pub(super) usize);

/// Something that happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Act {
    Write(FileNumber, usize, Vec<u8>),
    Truncate(FileNumber, usize),
    /// All of a file is durable; not its name.
    Sync(FileNumber),
    Name(String, FileNumber),
    Unname(String),
    /// All names are durable.
    SyncNames,
}

/// What a directory held when it was begun to be watched, all of it durable, and everything since.
#[derive(Debug, Default)]
pub(super) struct Journal {
    pub(super) durable: Durable,
    /// How many acts are in that by now.
    settled: usize,
    pub(super) acts: Vec<Act>,
    names: BTreeMap<String, FileNumber>,
    files: usize,
    /// What the name of a file begins with whose syncs are lies.
    liar: Option<&'static str>,
    /// For how many more writes there is room, where that has an end.
    room: Option<usize>,
}

/// What no crash takes away.
#[derive(Debug, Default)]
pub(super) struct Durable {
    pub(super) names: BTreeMap<String, FileNumber>,
    /// By their numbers; what is not there is empty.
    pub(super) files: BTreeMap<FileNumber, Vec<u8>>,
}

impl Journal {
    fn new(before: Image) -> Self {
        let mut journal = Self::default();
        for (name, content) in before.files {
            let number = FileNumber(journal.files);
            journal.files += 1;
            journal.durable.names.insert(name, number);
            journal.durable.files.insert(number, content);
        }
        journal.names = journal.durable.names.clone();
        journal
    }

    /// Forgets the way that led to what is durable.
    fn settle(&mut self) {
        let synced_names = self.acts.iter().rposition(|act| *act == Act::SyncNames);
        let mut synced = BTreeMap::new();
        for (at, act) in self.acts.iter().enumerate() {
            if let Act::Sync(file) = act {
                synced.insert(*file, at);
            }
        }
        let acts = std::mem::take(&mut self.acts);
        self.settled += acts.len();
        for (at, act) in acts.into_iter().enumerate() {
            let synced = match &act {
                Act::Write(file, ..) | Act::Truncate(file, _) => synced.get(file).copied(),
                Act::Name(..) | Act::Unname(_) => synced_names,
                Act::Sync(_) | Act::SyncNames => Some(at),
            };
            if synced.is_some_and(|synced| at <= synced) {
                self.durable.take(act);
            } else {
                self.acts.push(act);
            }
        }
        self.settled -= self.acts.len();
    }

    /// SQLite opens a file, which is new unless its name is known.
    pub(super) fn open(&mut self, name: &str) -> FileNumber {
        if let Some(known) = self.names.get(name) {
            return *known;
        }
        let new = FileNumber(self.files);
        self.files += 1;
        self.names.insert(name.to_owned(), new);
        self.acts.push(Act::Name(name.to_owned(), new));
        new
    }

    pub(super) fn remove(&mut self, name: &str, is_durable: bool) {
        if self.names.remove(name).is_some() {
            self.acts.push(Act::Unname(name.to_owned()));
        }
        if is_durable {
            self.acts.push(Act::SyncNames);
        }
    }

    /// A write; whether there is room for it.
    pub(super) fn write(&mut self, file: FileNumber, at: usize, data: &[u8]) -> bool {
        if let Some(room) = &mut self.room {
            let Some(left) = room.checked_sub(1) else {
                return false;
            };
            *room = left;
        }
        self.acts.push(Act::Write(file, at, data.to_vec()));
        true
    }

    pub(super) fn sync(&mut self, file: FileNumber, name: &str) {
        if self.liar.is_none_or(|liar| !name.starts_with(liar)) {
            self.acts.push(Act::Sync(file));
        }
    }
}

impl Durable {
    /// Something has become durable.
    pub(super) fn take(&mut self, act: Act) {
        match act {
            Act::Write(file, at, data) => write(self.files.entry(file).or_default(), at, &data),
            Act::Truncate(file, size) => self.files.entry(file).or_default().truncate(size),
            Act::Name(name, file) => {
                self.names.insert(name, file);
            }
            Act::Unname(name) => {
                self.names.remove(&name);
            }
            Act::Sync(_) | Act::SyncNames => {}
        }
    }
}

pub(super) fn write(bytes: &mut Vec<u8>, at: usize, data: &[u8]) {
    let end = at + data.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[at..end].copy_from_slice(data);
}

pub(super) type Shared = Arc<Mutex<Journal>>;

pub(super) fn lock(journal: &Shared) -> MutexGuard<'_, Journal> {
    journal.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A directory that is watched while this is there.
#[derive(Debug)]
pub(crate) struct Recording {
    directory: PathBuf,
    journal: Shared,
}

impl Recording {
    /// Puts these files into a directory, and watches from then on what SQLite does there.
    pub(crate) fn begin(directory: &Path, files: Image) -> Self {
        for (name, content) in &files.files {
            fs::write(directory.join(name), content).unwrap();
        }
        let journal = Arc::new(Mutex::new(Journal::new(files)));
        vfs::watch(directory, Arc::clone(&journal));
        Self {
            directory: directory.to_owned(),
            journal,
        }
    }

    /// How much has happened so far: a moment to lose power at.
    pub(crate) fn moment(&self) -> usize {
        let journal = lock(&self.journal);
        journal.settled + journal.acts.len()
    }

    /// Forgets the moments before this one, which take room.
    pub(crate) fn settle(&self) {
        lock(&self.journal).settle();
    }

    /// From now on the disk says that it has synced files of such a name, and has not.
    pub(crate) fn lie_about(&self, prefix: &'static str) {
        lock(&self.journal).liar = Some(prefix);
    }

    /// From now on there is room for so many writes; without a number there always is.
    pub(crate) fn leave_room(&self, writes: Option<usize>) {
        lock(&self.journal).room = writes;
    }

    /// What the directory may hold if power went at this moment, which is not forgotten.
    pub(crate) fn image(&self, moment: usize, dice: &mut Dice) -> Image {
        let journal = lock(&self.journal);
        let acts = moment.checked_sub(journal.settled);
        Image::after(&journal.durable, &journal.acts[..acts.unwrap()], dice)
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        vfs::unwatch(&self.directory);
    }
}
