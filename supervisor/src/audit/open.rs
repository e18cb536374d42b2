//! Going on with a log where it ended.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::{fs, io};

use tokio::sync::{mpsc, watch};

use super::chain::{Anchor, ChainKey, Link};
use super::event::{Entry, Event};
use super::files::{self, AnchorFile, Current, NoAnchor};
use super::verify::{Check, VerifyError, walk};
use super::writer::{Message, Rotation, Signs, Writer};
use super::{Audit, Ledger};
use crate::key_file::{KeyError, KeyUse, load_or_make};
use crate::limits::AUDIT_QUEUE_LENGTH;

/// Where the log is, and how much of it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditConfig {
    /// The file that is written.
    pub path: PathBuf,
    /// The file with the key; it is made when missing.
    pub key_file: PathBuf,
    /// The size at which a file is put aside, in bytes.
    pub file_bytes_max: u64,
    /// Files that are kept beside the one that is written: 1 at least.
    pub files_max: u64,
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// There is no key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The system does not let us.
    #[error("the audit log {} cannot be written: {source}", .path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Two servers cannot write one chain.
    #[error(
        "another server writes the audit log {}; give each server one of its own",
        .path.display()
    )]
    Taken {
        /// Which.
        path: PathBuf,
    },
    /// It is not what was written last.
    #[error(
        "the audit log is not what was written: {0}. Move it away with its anchor and keep it \
         (mcp-v8 audit verify says more), then start again"
    )]
    Tampered(#[from] VerifyError),
}

/// The end of a log, as it was found.
struct Tail {
    last: Link,
    length: u64,
    torn_bytes: u64,
}

/// Opens the log, and notes that the server has started. It blocks.
pub(super) fn open(config: &AuditConfig) -> Result<Audit, AuditError> {
    let path = &config.path;
    let failed = |source| AuditError::Io {
        path: path.clone(),
        source,
    };
    files::make_directory(path).map_err(failed)?;
    let key = ChainKey::new(&load_or_make(KeyUse::Audit, &config.key_file)?);
    let anchor_path = files::anchor_path(path);
    let (mut anchor_file, found) = match AnchorFile::open(&anchor_path, &key) {
        Ok(opened) => opened,
        Err(NoAnchor::Io(source)) => return Err(failed(source)),
        Err(NoAnchor::Taken) => return Err(AuditError::Taken { path: path.clone() }),
        Err(NoAnchor::Forged) => return Err(VerifyError::Anchor { path: anchor_path }.into()),
    };
    let numbers = files::all(path).map_err(failed)?;
    let anchor = match found {
        Some(anchor) => anchor,
        // Without an anchor nobody knows how much is missing.
        None if numbers.iter().any(|number| holds_something(path, *number)) => {
            return Err(VerifyError::Anchor { path: anchor_path }.into());
        }
        None => Anchor::GENESIS,
    };
    let tail = tail(path, &numbers, &key, anchor)?;
    let current = Current::open(path, tail.length).map_err(failed)?;
    // Both of its lines take their room now.
    for _ in 0..2 {
        let begun = Anchor {
            last: tail.last,
            first_seq: anchor.first_seq,
        };
        anchor_file.write(&begun, &key).map_err(failed)?;
    }
    anchor_file.sync().map_err(failed)?;
    files::sync_directory(path).map_err(failed)?;
    let (sender, messages) = mpsc::channel(AUDIT_QUEUE_LENGTH);
    let (told, trouble) = watch::channel(None);
    let signs = Arc::new(Signs::default());
    let writer = Writer {
        path: path.clone(),
        key,
        rotation: Rotation {
            file_bytes_max: config.file_bytes_max,
            files_max: config.files_max.max(1),
        },
        current,
        anchor_file,
        anchor,
        last: tail.last,
        messages,
        trouble: told,
        signs: Arc::clone(&signs),
    };
    start_thread(writer).map_err(failed)?;
    let audit = Audit(Some(Arc::new(Ledger {
        sender,
        trouble,
        signs,
    })));
    audit.note(Event::ServerStarted {
        version: env!("CARGO_PKG_VERSION"),
        pid: std::process::id(),
        torn_bytes: tail.torn_bytes,
    });
    Ok(audit)
}

fn holds_something(path: &Path, number: u64) -> bool {
    fs::metadata(files::aside(path, number)).is_ok_and(|about| about.len() > 0)
}

/// Reads the newest file with a line. It must go on to the last line that was written for certain;
/// lines after that were written too, by a server that was killed before it could say so.
fn tail(path: &Path, numbers: &[u64], key: &ChainKey, anchor: Anchor) -> Result<Tail, VerifyError> {
    let mut torn_bytes = 0;
    for number in numbers.iter().rev().copied() {
        let file = files::aside(path, number);
        let mut check = Check::new(key, Some(anchor)).within();
        let (lines, rest) = walk(&file, &mut check)?;
        if number == 0 {
            torn_bytes = rest;
        }
        let Some(last) = check.last() else {
            // Nothing was written since the one before was put aside.
            continue;
        };
        check.end().map_err(|why| VerifyError::Broken {
            path: file.clone(),
            line: lines,
            why,
        })?;
        let bytes = fs::metadata(&file).map_err(|source| VerifyError::Unreadable {
            path: file.clone(),
            source,
        })?;
        return Ok(Tail {
            last,
            length: if number == 0 { bytes.len() - rest } else { 0 },
            torn_bytes,
        });
    }
    let check = Check::new(key, Some(anchor));
    check.end().map_err(|why| VerifyError::Broken {
        path: path.to_owned(),
        line: 0,
        why,
    })?;
    Ok(Tail {
        last: anchor.last,
        length: 0,
        torn_bytes,
    })
}

fn start_thread(writer: Writer) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    thread::Builder::new()
        .name("mcp-v8-audit".to_owned())
        .spawn(move || runtime.block_on(writer.serve()))?;
    Ok(())
}

impl Entry {
    pub(super) fn message(self) -> Message {
        Message::Note(Box::new(self))
    }
}
