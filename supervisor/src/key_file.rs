//! Files with a secret key: 32 random bytes, as hexadecimal digits.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::hex::{self, Hex};
use crate::private_file::{self, NotPrivate};

/// The length of a key.
pub(crate) const KEY_BYTES: usize = 32;
/// The digits, and the end of the line.
const FILE_BYTES_MAX: u64 = 2 * KEY_BYTES as u64 + 2;

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyUse {
    /// Sealing heaps.
    Heaps,
    /// Chaining the audit log.
    Audit,
    /// Showing who is a node of a cluster.
    Cluster,
}

impl KeyUse {
    const fn flag(self) -> &'static str {
        match self {
            Self::Heaps => "--heap-key-file",
            Self::Audit => "--audit-key-file",
            Self::Cluster => "--cluster-secret-file",
        }
    }

    const fn harm(self) -> &'static str {
        match self {
            Self::Heaps => "can make this server load anything as a heap",
            Self::Audit => "can write an audit log that is believed",
            Self::Cluster => "can be a node of the cluster",
        }
    }

    const fn loss(self) -> &'static str {
        match self {
            Self::Heaps => "no heap sealed with it can be trusted",
            Self::Audit => "no audit log written with it can be trusted",
            Self::Cluster => "whoever has read it can be a node of the cluster",
        }
    }

    const fn way_out(self) -> &'static str {
        match self {
            Self::Heaps => {
                "restore it, or remove it to have another made, which no heap stored so far can be \
                 read with"
            }
            Self::Audit => {
                "restore it, or remove it to have another made, which no audit log written so far can \
                 be verified with"
            }
            Self::Cluster => {
                "copy it from another node; the first is made by: openssl rand -hex 32"
            }
        }
    }
}

impl fmt::Display for KeyUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Heaps => "heap key",
            Self::Audit => "audit key",
            Self::Cluster => "cluster secret",
        })
    }
}

/// Reads the key in this file, which is made first when it is missing. Of several that make it at
/// once, one wins, and all get its key.
pub(crate) fn load_or_make(is_for: KeyUse, path: &Path) -> Result<[u8; KEY_BYTES], KeyError> {
    match load(is_for, path) {
        Err(KeyError::Unreadable { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            make(path).map_err(|source| KeyError::Unmakeable {
                is_for,
                path: path.to_owned(),
                source,
            })?;
            load(is_for, path)
        }
        loaded => loaded,
    }
}

/// Whether there is a key in this file already, without making one.
///
/// # Errors
/// [`KeyError`]: a server would not start with it.
pub fn look(is_for: KeyUse, path: &Path) -> Result<bool, KeyError> {
    match load(is_for, path) {
        Ok(_) => Ok(true),
        Err(KeyError::Unreadable { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Reads the key in this file.
pub(crate) fn load(is_for: KeyUse, path: &Path) -> Result<[u8; KEY_BYTES], KeyError> {
    let unreadable = |source| KeyError::Unreadable {
        is_for,
        path: path.to_owned(),
        source,
    };
    let malformed = || KeyError::Malformed {
        is_for,
        path: path.to_owned(),
    };
    let file = private_file::open(path).map_err(|why| match why {
        NotPrivate::Unreadable(source) => unreadable(source),
        NotPrivate::NoFile => malformed(),
        NotPrivate::Public { mode } => KeyError::Public {
            is_for,
            path: path.to_owned(),
            mode,
        },
        NotPrivate::Alien => KeyError::Alien {
            is_for,
            path: path.to_owned(),
        },
    })?;
    let mut text = String::new();
    match file.take(FILE_BYTES_MAX).read_to_string(&mut text) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(malformed()),
        Err(error) => return Err(unreadable(error)),
    }
    let digits = text.strip_suffix('\n').unwrap_or(&text);
    hex::read(digits).ok_or_else(malformed)
}

/// Makes a key file, unless there is one by then.
fn make(path: &Path) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)?;
    let mut bytes = [0; KEY_BYTES];
    getrandom::fill(&mut bytes)?;
    // Under its own name it is whole from the first moment, or not there.
    let new = directory.join(format!(".key-{}.new", Uuid::new_v4().as_simple()));
    let made = write_new(&new, &bytes).and_then(|()| fs::hard_link(&new, path));
    let removed = fs::remove_file(&new);
    match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => made.and(removed)?,
    }
    File::open(directory)?.sync_all()
}

fn write_new(path: &Path, bytes: &[u8; KEY_BYTES]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    writeln!(file, "{}", Hex(bytes))?;
    file.sync_all()
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read.
    #[error("the {is_for} {} cannot be read: {source}", .path.display())]
    Unreadable {
        /// What it is for.
        is_for: KeyUse,
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file cannot be made.
    #[error(
        "the {is_for} {} cannot be made: {source}; name another file with {}",
        .path.display(),
        .is_for.flag()
    )]
    Unmakeable {
        /// What it is for.
        is_for: KeyUse,
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others could have read or changed it.
    #[error(
        "the {is_for} {} is open to others (its mode is {mode:03o}); if nobody has read it, run \
         chmod 600 on it, else make another: {}",
        .path.display(),
        .is_for.loss()
    )]
    Public {
        /// What it is for.
        is_for: KeyUse,
        /// Which.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// Somebody else owns it.
    #[error(
        "the {is_for} {} belongs to another user, who {}; name another file with {}, or another \
         directory",
        .path.display(),
        .is_for.harm(),
        .is_for.flag()
    )]
    Alien {
        /// What it is for.
        is_for: KeyUse,
        /// Which.
        path: PathBuf,
    },
    /// It is no key.
    #[error(
        "the {is_for} {} is not a file of 64 hexadecimal digits in lower case; {}",
        .path.display(),
        .is_for.way_out()
    )]
    Malformed {
        /// What it is for.
        is_for: KeyUse,
        /// Which.
        path: PathBuf,
    },
}
