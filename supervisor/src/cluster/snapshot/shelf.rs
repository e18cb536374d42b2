//! Where snapshots arrive: a directory that holds what has come of one, and those that have come whole.
//!
//! One arrives at a time. What has come of it survives a broken connection and a restart: the sender goes
//! on where it ends. A file gets its name only when all of it has been read back, and is a sound snapshot
//! that is what was announced: so a name stands for its content.
//!
//! The directory is the node's, too. Names say whose a file is: the shelf knows those that end with
//! `.part` and `.arrived`, and touches no other. The node takes an arrived one by giving it a name of its
//! own (`files.rs`), and nobody else removes it from then on.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, TryLockError};

use crate::hex::Hex;
use crate::limits::SNAPSHOTS_KEPT;
use crate::raft::ids::RaftId;
use crate::store::snapshot::{self, Manifest, SnapshotError};

/// A directory for snapshots of other nodes.
#[derive(Debug)]
pub(in crate::cluster) struct Shelf {
    directory: PathBuf,
    arriving: Mutex<Option<Arriving>>,
}

#[derive(Debug, Clone, Copy)]
struct Arriving {
    manifest: Manifest,
    from: RaftId,
}

/// Why a piece is not taken.
#[derive(Debug, thiserror::Error)]
pub(in crate::cluster) enum ShelfError {
    /// Another one is being written at this moment.
    #[error("another snapshot is arriving")]
    Busy,
    /// Nobody has offered it, or another one has been offered since.
    #[error("this snapshot was not offered")]
    Unknown,
    /// It does not follow what has come.
    #[error("the next byte of this snapshot is {0}")]
    Elsewhere(u64),
    /// It is not what was announced. What has come of it is gone.
    #[error("the snapshot is not what was announced: {0}")]
    Damaged(SnapshotError),
    /// The disk refuses it.
    #[error("the snapshot cannot be stored: {0}")]
    Disk(#[from] io::Error),
}

impl Shelf {
    /// Uses this directory, and makes it when it is missing.
    pub(in crate::cluster) fn open(directory: PathBuf) -> io::Result<Self> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)?;
        Ok(Self {
            directory,
            arriving: Mutex::default(),
        })
    }

    /// A node wants to send this one. The answer is the first byte that is missing; what has come of
    /// others goes.
    pub(in crate::cluster) fn offer(
        &self,
        from: RaftId,
        manifest: Manifest,
    ) -> Result<u64, ShelfError> {
        let mut arriving = self.lock()?;
        if self.directory.join(arrived_name(&manifest)).is_file() {
            return Ok(manifest.bytes);
        }
        self.clean(&part_name(&manifest))?;
        *arriving = Some(Arriving { manifest, from });
        let found = self.directory.join(part_name(&manifest)).metadata();
        let length = found.map_or(0, |found| found.len());
        if length > manifest.bytes {
            fs::remove_file(self.directory.join(part_name(&manifest)))?;
            return Ok(0);
        }
        Ok(length)
    }

    /// A piece that begins at this byte. The answer is the next one that is missing.
    pub(in crate::cluster) fn add(
        &self,
        from: RaftId,
        (sha256, offset): ([u8; 32], u64),
        piece: &[u8],
    ) -> Result<u64, ShelfError> {
        let arriving = self.lock()?;
        let manifest = expected(&arriving, from, sha256)?;
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(self.directory.join(part_name(&manifest)))?;
        let length = file.metadata()?.len();
        if offset != length {
            return Err(ShelfError::Elsewhere(length));
        }
        let end = length.saturating_add(piece.len() as u64);
        if end > manifest.bytes {
            return Err(ShelfError::Elsewhere(length));
        }
        file.write_all(piece)?;
        Ok(end)
    }

    /// All pieces have come. The answer is the file, which is a sound snapshot and the one that was
    /// announced, and survives a loss of power.
    pub(in crate::cluster) fn finish(
        &self,
        from: RaftId,
        manifest: Manifest,
    ) -> Result<PathBuf, ShelfError> {
        let mut arriving = self.lock()?;
        let whole = self.directory.join(arrived_name(&manifest));
        if whole.is_file() {
            return Ok(whole);
        }
        expected(&arriving, from, manifest.sha256)?;
        let part = self.directory.join(part_name(&manifest));
        let length = part.metadata()?.len();
        if length < manifest.bytes {
            return Err(ShelfError::Elsewhere(length));
        }
        match snapshot::verify(&part, &manifest) {
            Ok(_) => {}
            Err(SnapshotError::File(error)) => return Err(error.into()),
            Err(error) => {
                *arriving = None;
                fs::remove_file(&part)?;
                return Err(ShelfError::Damaged(error));
            }
        }
        keep_if(&part, File::open(&part)?.sync_all())?;
        fs::rename(&part, &whole)?;
        File::open(&self.directory)?.sync_all()?;
        *arriving = None;
        Ok(whole)
    }

    /// Nobody waits for somebody else's piece: that may be as long as a file takes to be read back.
    fn lock(&self) -> Result<std::sync::MutexGuard<'_, Option<Arriving>>, ShelfError> {
        match self.arriving.try_lock() {
            Ok(guard) => Ok(guard),
            Err(TryLockError::Poisoned(guard)) => Ok(PoisonError::into_inner(guard)),
            Err(TryLockError::WouldBlock) => Err(ShelfError::Busy),
        }
    }

    /// Removes parts of others, and whole files that nobody has taken for long.
    fn clean(&self, part: &str) -> io::Result<()> {
        let mut whole = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let path = entry.path();
            let is = |kind: &str| path.extension().is_some_and(|found| found == kind);
            if is("part") && entry.file_name() != part {
                fs::remove_file(&path)?;
            } else if is("arrived") {
                whole.push((entry.metadata()?.modified()?, path));
            }
        }
        whole.sort();
        let more = whole.len().saturating_sub(SNAPSHOTS_KEPT);
        for (_, path) in whole.into_iter().take(more) {
            fs::remove_file(path)?;
        }
        Ok(())
    }
}

/// What has come goes when it may not be on the disk: the system reports a failed write once, and shows what it
/// has not written as if it had (fsync(2)), so that reading it back and a second sync would prove nothing.
fn keep_if(part: &Path, synced: io::Result<()>) -> io::Result<()> {
    if synced.is_err() {
        fs::remove_file(part)?;
    }
    synced
}

fn expected(
    arriving: &Option<Arriving>,
    from: RaftId,
    sha256: [u8; 32],
) -> Result<Manifest, ShelfError> {
    let expected = arriving.filter(|one| one.from == from && one.manifest.sha256 == sha256);
    expected.map(|one| one.manifest).ok_or(ShelfError::Unknown)
}

/// The name of what has come of one.
fn part_name(manifest: &Manifest) -> String {
    format!("{}.part", Hex(&manifest.sha256))
}

/// The name of one that has come whole, until the node takes it.
pub(in crate::cluster) fn arrived_name(manifest: &Manifest) -> String {
    format!("{}.arrived", Hex(&manifest.sha256))
}

/// A piece of a file that begins at this byte; empty at its end.
pub(super) fn piece(file: &File, offset: u64, most: usize) -> io::Result<Vec<u8>> {
    let mut piece = vec![0; most];
    let mut filled = 0;
    while let Some(rest) = piece.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + filled as u64)? {
            0 => break,
            read => filled += read,
        }
    }
    piece.truncate(filled);
    Ok(piece)
}

#[cfg(test)]
#[path = "shelf_tests.rs"]
mod tests;
