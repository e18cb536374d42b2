//! The shared state as one file, which takes the place of another node's.
//!
//! A snapshot is a database of its own: what is shared, as one read transaction saw it, with the position
//! of its last entry inside. Its manifest, which travels in the message that announces it, has its size and
//! its SHA-256; its name is that sum, so that a file can only be found by who it is.
//!
//! ```text
//! make      one read transaction ─▶ temporary file ─▶ synced, summed, named
//! verify    size, sum, format, tables, quick_check, position inside = position told
//! install   one transaction: shared rows and position are those of the snapshot
//! ```
//!
//! So an install is there as a whole or not at all, and may be done twice. Rows of executions that only
//! this node knows of stay, with their code and output; so do those of shared ones, which keep their place.

mod install;
mod make;
mod tables;
#[cfg(test)]
mod tests;
mod verify;

use std::io;
use std::path::PathBuf;

pub(super) use self::install::install;
pub use self::make::make;
pub use self::verify::verify;

use crate::hex::Hex;
use crate::limits::SNAPSHOT_BYTES_MAX;
use crate::raft::log::{ConfState, Position};

/// The version of the tables in a snapshot.
pub const SNAPSHOT_FORMAT: u8 = 1;

const MANIFEST_BYTES: usize = 1 + 8 + 8 + 8 + 32;

/// What names a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manifest {
    /// The last entry that is in it.
    pub at: Position,
    /// Its size, in bytes.
    pub bytes: u64,
    /// The SHA-256 of the file.
    pub sha256: [u8; 32],
}

impl Manifest {
    /// As it travels.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![SNAPSHOT_FORMAT];
        bytes.extend(self.at.index.to_le_bytes());
        bytes.extend(self.at.term.to_le_bytes());
        bytes.extend(self.bytes.to_le_bytes());
        bytes.extend(self.sha256);
        bytes
    }

    /// Reads [`Manifest::to_bytes`] back.
    ///
    /// # Errors
    /// [`SnapshotError`]: it is none, of another version, or of a snapshot that is too large.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SnapshotError> {
        match bytes.first() {
            Some(&SNAPSHOT_FORMAT) => {}
            Some(found) => {
                return Err(SnapshotError::Format {
                    found: i64::from(*found),
                });
            }
            None => return Err(SnapshotError::Manifest),
        }
        let bytes: &[u8; MANIFEST_BYTES] = bytes.try_into().map_err(|_| SnapshotError::Manifest)?;
        let number = |at: usize| {
            let part = bytes.get(at..at + 8).and_then(|part| part.try_into().ok());
            part.map(u64::from_le_bytes).ok_or(SnapshotError::Manifest)
        };
        let sha256 = bytes.last_chunk::<32>().ok_or(SnapshotError::Manifest)?;
        let manifest = Self {
            at: Position {
                index: number(1)?,
                term: number(9)?,
            },
            bytes: number(17)?,
            sha256: *sha256,
        };
        if manifest.bytes == 0 {
            return Err(SnapshotError::Manifest);
        }
        if manifest.bytes > SNAPSHOT_BYTES_MAX {
            return Err(SnapshotError::TooLarge);
        }
        Ok(manifest)
    }

    /// What its file is called.
    pub fn file_name(&self) -> String {
        format!("{}{SNAPSHOT_SUFFIX}", Hex(&self.sha256))
    }
}

/// What the name of a snapshot ends with.
pub const SNAPSHOT_SUFFIX: &str = ".snapshot";

/// A snapshot that was made.
#[derive(Debug, Clone, PartialEq)]
pub struct Made {
    /// What names it.
    pub manifest: Manifest,
    /// The configuration in it.
    pub conf: ConfState,
    /// Where it is.
    pub path: PathBuf,
}

/// Why a snapshot cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The bytes are no manifest.
    #[error("what describes the snapshot is malformed")]
    Manifest,
    /// Another version made it.
    #[error("the snapshot has format {found}; this program knows {SNAPSHOT_FORMAT}")]
    Format {
        /// What was found.
        found: i64,
    },
    /// It is larger than a snapshot may be.
    #[error("the snapshot is larger than {SNAPSHOT_BYTES_MAX} bytes")]
    TooLarge,
    /// It is not the file that its manifest names.
    #[error("the snapshot's {what} is not what was announced")]
    Other {
        /// What differs.
        what: &'static str,
    },
    /// It is damaged.
    #[error("the snapshot is damaged: {0}")]
    Damaged(String),
    /// A file cannot be read or written.
    #[error("the snapshot's file: {0}")]
    File(#[from] io::Error),
    /// SQLite said so.
    #[error("the snapshot: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The state cannot be read or written.
    #[error(transparent)]
    Store(#[from] super::StoreError),
}
