//! What can go wrong with stored heaps.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::blobs::S3SettingsError;
use super::envelope::Damage;
use super::id::HeapId;
use crate::key_file::KeyError;
use crate::limits::HEAP_BYTES_MAX;

/// Why heaps cannot be kept at all.
#[derive(Debug, thiserror::Error)]
pub enum HeapsOpenError {
    /// The place does not answer.
    #[error("{why}")]
    Unreachable {
        /// What it said instead.
        why: String,
    },
    /// The directory cannot be used.
    #[error(
        "the directory {} cannot be used for heaps: {source}; name another, or run --stateless",
        .path.display()
    )]
    Directory {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// S3 cannot be asked.
    #[error(transparent)]
    S3(#[from] S3SettingsError),
    /// There is no key.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Why a heap was not given or kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeapError {
    /// There is none of that name for this tenant.
    #[error(
        "there is no heap {id}: no execution of yours left it, or it has expired; name one that \
         get_execution or list_session_snapshots shows, or leave `heap` out to start with none"
    )]
    Unknown {
        /// Its name.
        id: HeapId,
    },
    /// It is not as it was stored.
    #[error(
        "the heap {id} is damaged and is not used: {why}; go on from an earlier heap, or run again \
         what made it"
    )]
    Damaged {
        /// Its name.
        id: HeapId,
        /// What is wrong with it.
        why: Damage,
    },
    /// Another tenant's lies under its name.
    #[error(
        "the heap {id} is sealed for another tenant and is not used: somebody moved it; go on from \
         an earlier heap, or run again what made it"
    )]
    Foreign {
        /// Its name.
        id: HeapId,
    },
    /// Another build made it.
    #[error(
        "the heap {id} cannot be loaded here: it was made by {found}, and this is {wanted}; run \
         again what made it, without `heap`"
    )]
    Incompatible {
        /// Its name.
        id: HeapId,
        /// What made it.
        found: String,
        /// What would load it.
        wanted: String,
    },
    /// The disk or the network fails.
    #[error("{doing} failed: {why}; try again, and see the server's logs if it stays so")]
    Unavailable {
        /// What was to be done.
        doing: Doing,
        /// What failed.
        why: String,
    },
    /// It is on this node only.
    #[error(
        "the heap {id} could not be put on a second node, and is not kept: {why}; run again what made it \
         once the other nodes of this cluster can be reached"
    )]
    NotCopied {
        /// Its name.
        id: HeapId,
        /// What happened.
        why: String,
    },
    /// It is larger than a heap may be.
    #[error(
        "the heap {id} has {bytes} bytes, and {HEAP_BYTES_MAX} are the most that are kept; let \
         globals hold less"
    )]
    TooLarge {
        /// Its name.
        id: HeapId,
        /// Its size.
        bytes: u64,
    },
}

/// What was to be done with stored heaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// Sealing one that has no name yet.
    Sealing,
    /// Keeping this one.
    Keeping(HeapId),
    /// Fetching this one.
    Fetching(HeapId),
    /// Removing this one.
    Removing(HeapId),
    /// Listing all.
    Listing,
    /// Cleaning up.
    Sweeping,
    /// Noting who uses the place.
    Registering,
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sealing => f.write_str("sealing a heap"),
            Self::Keeping(id) => write!(f, "keeping the heap {id}"),
            Self::Fetching(id) => write!(f, "fetching the heap {id}"),
            Self::Removing(id) => write!(f, "removing the heap {id}"),
            Self::Listing => f.write_str("listing the heaps"),
            Self::Registering => f.write_str("looking up which databases use the heaps"),
            Self::Sweeping => f.write_str("cleaning up among the heaps"),
        }
    }
}
