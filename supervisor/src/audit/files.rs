//! The files of a log: the one that is written, those that were put aside, and the anchor beside them.
//!
//! `FILE` is written. When it is large enough it becomes `FILE.1`, what was that `FILE.2`, and so on; the
//! oldest go. `FILE.anchor` says how far the log went: two lines of one length that are written in turn,
//! so that one of them is whole whenever the machine stops.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::chain::{Anchor, ChainKey};
use crate::limits::{AUDIT_FILES_MAX, AUDIT_LINE_BYTES_MAX};

/// The length of each of the two lines of an anchor, with its end.
const ANCHOR_LINE_BYTES: usize = 512;

/// The path of a file that was put aside; 0 is the one that is written.
pub(super) fn aside(path: &Path, number: u64) -> PathBuf {
    match number {
        0 => path.to_owned(),
        number => with(path, &format!(".{number}")),
    }
}

/// The path of the anchor.
pub(super) fn anchor_path(path: &Path) -> PathBuf {
    with(path, ".anchor")
}

fn with(path: &Path, end: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(end);
    path.into()
}

/// All files of a log that are there, the oldest first, by their numbers.
pub(super) fn all(path: &Path) -> io::Result<Vec<u64>> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut found: Vec<u64> = Vec::new();
    for entry in fs::read_dir(directory(path))? {
        let entry = entry?.file_name();
        let entry = entry.to_string_lossy();
        let Some(end) = entry.strip_prefix(name.as_ref()) else {
            continue;
        };
        if end.is_empty() {
            found.push(0);
        } else if let Some(number) = end.strip_prefix('.').and_then(|end| end.parse().ok())
            && (1..=AUDIT_FILES_MAX + 1).contains(&number)
            && end == format!(".{number}")
        {
            found.push(number);
        }
    }
    found.sort_unstable_by(|one, other| other.cmp(one));
    Ok(found)
}

/// Where a file is.
pub(super) fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes the directory of a log, for its owner alone, when it is missing.
pub(super) fn make_directory(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory(path))
}

/// Opens the file that is written, which is made for its owner alone.
pub(super) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)
}

/// Makes names durable.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(directory(path))?.sync_all()
}

/// The first line of a file, without its end; `None` where there is none.
pub(super) fn first_line(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let mut file = io::BufReader::new(File::open(path)?).take(AUDIT_LINE_BYTES_MAX as u64);
    file.read_until(b'\n', &mut line)?;
    Ok(line.strip_suffix(b"\n").map(<[u8]>::to_vec))
}

/// The file with the anchor, held by one server at a time.
#[derive(Debug)]
pub(super) struct AnchorFile {
    file: File,
    /// Which of the two lines is written next.
    turn: u64,
}

/// Why there is no anchor to go on from.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAnchor {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("another server writes it")]
    Taken,
    #[error("it was changed, or was not written with this key")]
    Forged,
}

impl AnchorFile {
    /// Opens it, and keeps others out; what it says, `None` when it was made just now.
    pub(super) fn open(path: &Path, key: &ChainKey) -> Result<(Self, Option<Anchor>), NoAnchor> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(NoAnchor::Taken),
            Err(fs::TryLockError::Error(error)) => return Err(error.into()),
        }
        if file.metadata()?.len() == 0 {
            return Ok((Self { file, turn: 0 }, None));
        }
        let (anchor, turn) = newest(&file, key)?.ok_or(NoAnchor::Forged)?;
        let turn = 1 - turn;
        Ok((Self { file, turn }, Some(anchor)))
    }

    /// Writes it. What it says is in the log already.
    pub(super) fn write(&mut self, anchor: &Anchor, key: &ChainKey) -> io::Result<()> {
        let mut line = anchor.sealed(key).map_err(io::Error::other)?.into_bytes();
        line.resize(ANCHOR_LINE_BYTES - 1, b' ');
        line.push(b'\n');
        let at = self.turn * ANCHOR_LINE_BYTES as u64;
        self.file.write_all_at(&line, at)?;
        self.turn = 1 - self.turn;
        Ok(())
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// Reads an anchor that others may be writing; `None` when there is none.
pub(super) fn read_anchor(path: &Path, key: &ChainKey) -> Result<Option<Anchor>, NoAnchor> {
    match File::open(path) {
        Ok(file) => {
            let found = newest(&file, key)?;
            let (anchor, _) = found.ok_or(NoAnchor::Forged)?;
            Ok(Some(anchor))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The line that goes furthest, and which it is.
fn newest(file: &File, key: &ChainKey) -> io::Result<Option<(Anchor, u64)>> {
    let mut found: Option<(Anchor, u64)> = None;
    for turn in 0..2 {
        let mut line = [0; ANCHOR_LINE_BYTES];
        if file
            .read_exact_at(&mut line, turn * ANCHOR_LINE_BYTES as u64)
            .is_err()
        {
            continue;
        }
        let anchor = std::str::from_utf8(&line)
            .ok()
            .and_then(|line| Anchor::read(key, line.trim_end()));
        if let Some(anchor) = anchor
            && found.is_none_or(|(best, _)| {
                (anchor.last.seq, anchor.first_seq) > (best.last.seq, best.first_seq)
            })
        {
            found = Some((anchor, turn));
        }
    }
    Ok(found)
}

/// The file that is written.
#[derive(Debug)]
pub(super) struct Current {
    file: File,
    /// As far as it is known to be whole.
    length: u64,
}

impl Current {
    /// Opens it, and cuts off what comes after `length`.
    pub(super) fn open(path: &Path, length: u64) -> io::Result<Self> {
        let current = Self {
            file: open(path)?,
            length,
        };
        current.mend()?;
        Ok(current)
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Writes lines, and waits until they are durable. What was written of them is taken back when that
    /// fails.
    pub(super) fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        let written = self
            .file
            .write_all(lines)
            .and_then(|()| self.file.sync_data());
        match written {
            Ok(()) => {
                self.length += lines.len() as u64;
                Ok(())
            }
            Err(error) => {
                self.mend()?;
                Err(error)
            }
        }
    }

    fn mend(&self) -> io::Result<()> {
        if self.file.metadata()?.len() > self.length {
            self.file.set_len(self.length)?;
        }
        Ok(())
    }
}
