//! Who did what, when, and how it ended: lines of JSON in a file that tells of every change to it.
//!
//! ```text
//! app | execution | fetch | http ─▶ Audit ─▶ bounded queue ─▶ writer: one thread ─▶ FILE, FILE.1, ...
//!                                                                              └─▶ FILE.anchor
//! ```
//!
//! * `event`: what is noted.
//! * `chain`: each line holds the hash of the one before and a MAC; pure.
//! * `fold`: what anybody can bring about as often as it likes is counted; pure.
//! * `files`: the files, and how one follows another.
//! * `open`: going on where a log ended.
//! * `writer`: the thread that writes.
//! * `verify`: whether a log is what was written.
//!
//! What is not noted does not happen: while the log cannot be written nothing is accepted, and scripts
//! make no requests. An execution that was accepted has a place in the queue for its end, so that this
//! is noted whatever others do. Nobody on the asynchronous runtime waits for the disk.

mod chain;
mod event;
mod files;
mod fold;
mod open;
mod verify;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

pub use self::chain::Break;
pub use self::event::{Actor, EndUsage, Event};
pub use self::open::{AuditConfig, AuditError};
pub use self::verify::{Verified, VerifyError};

use self::chain::ChainKey;
use self::event::{Entry, bounded};
use self::files::NoAnchor;
use self::writer::{Message, Signs};
use crate::key_file::{KeyError, KeyUse, load};
use crate::limits::{AUDIT_PLACE_WAIT_MAX, AUDIT_QUEUE_RESERVE};

/// The log, or none. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Audit(Option<Arc<Ledger>>);

#[derive(Debug)]
struct Ledger {
    sender: mpsc::Sender<Message>,
    trouble: watch::Receiver<Option<String>>,
    signs: Arc<Signs>,
}

/// What happens cannot be noted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the audit log cannot be written: {problem}")]
pub struct Unwritable {
    /// What the system said.
    pub problem: String,
}

/// A place for one event.
#[derive(Debug)]
#[must_use = "an event is to be noted in it"]
pub struct Place(Option<mpsc::OwnedPermit<Message>>);

impl Place {
    /// One that leads nowhere.
    pub const fn nowhere() -> Self {
        Self(None)
    }

    /// Notes the event.
    pub fn note(self, event: Event) {
        if let Some(place) = self.0 {
            place.send(Entry::now(event).message());
        }
    }
}

impl Audit {
    /// Opens a log, goes on where it ended, and notes that the server has started. It blocks.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn open(config: &AuditConfig) -> Result<Self, AuditError> {
        open::open(config)
    }

    /// The same, for those who must not block, where there is to be one.
    ///
    /// # Errors
    /// [`AuditError`].
    pub async fn start(config: Option<AuditConfig>) -> Result<Self, AuditError> {
        let Some(config) = config else {
            return Ok(Self::default());
        };
        let path = config.path.clone();
        let opened = tokio::task::spawn_blocking(move || Self::open(&config)).await;
        opened.unwrap_or_else(|error| {
            let source = std::io::Error::other(error);
            Err(AuditError::Io { path, source })
        })
    }

    /// Whether what happens can be noted.
    ///
    /// # Errors
    /// [`Unwritable`].
    pub fn ready(&self) -> Result<(), Unwritable> {
        let Some(ledger) = &self.0 else {
            return Ok(());
        };
        let trouble = ledger.trouble.borrow().clone();
        trouble.map_or(Ok(()), |problem| Err(Unwritable { problem }))
    }

    /// A place for an event that is to be noted, if there is one now.
    ///
    /// # Errors
    /// [`Unwritable`].
    pub fn place(&self) -> Result<Place, Unwritable> {
        let Some(ledger) = &self.0 else {
            return Ok(Place(None));
        };
        self.ready()?;
        let place = ledger.sender.clone().try_reserve_owned();
        place.map(|place| Place(Some(place))).map_err(|_| full())
    }

    /// The same, after a wait where there is none now.
    ///
    /// # Errors
    /// [`Unwritable`].
    pub async fn place_in_time(&self) -> Result<Place, Unwritable> {
        let Some(ledger) = &self.0 else {
            return Ok(Place(None));
        };
        self.ready()?;
        let place = timeout(AUDIT_PLACE_WAIT_MAX, ledger.sender.clone().reserve_owned()).await;
        match place {
            Ok(Ok(place)) => Ok(Place(Some(place))),
            Ok(Err(_)) | Err(_) => Err(full()),
        }
    }

    /// Notes what has happened anyway. Where very much does, it is only counted.
    pub fn note(&self, event: Event) {
        let Some(ledger) = &self.0 else {
            return;
        };
        let has_room = ledger.sender.capacity() > AUDIT_QUEUE_RESERVE;
        let message = Entry::now(event).message();
        if !has_room || ledger.sender.try_send(message).is_err() {
            ledger.signs.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether there is a log: what is noted elsewhere need not be made.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Writes what is left, notes that the server has ended, and ends.
    pub async fn close(&self) {
        let Some(ledger) = &self.0 else {
            return;
        };
        ledger.signs.is_closing.store(true, Ordering::Relaxed);
        let (closed, is_closed) = oneshot::channel();
        if ledger.sender.send(Message::Close(closed)).await.is_ok() {
            // It has ended without a word only where its thread has gone.
            let _ = is_closed.await;
        }
    }
}

fn full() -> Unwritable {
    Unwritable {
        problem: "it does not keep up with what happens".to_owned(),
    }
}

/// A text from outside, as it may be noted.
pub fn text(text: &str) -> String {
    bounded(text)
}

/// Why a log cannot be verified, or is not what was written.
#[derive(Debug, thiserror::Error)]
pub enum NotVerified {
    /// There is no key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// It is not what was written, or cannot be read.
    #[error(transparent)]
    Log(#[from] VerifyError),
}

/// Reads a log from its first line to its last: all files of the log at `path`, or just these, the
/// oldest first. It blocks.
///
/// # Errors
/// [`NotVerified`]: the first thing that is wrong.
pub fn verify(path: &Path, key_file: &Path, files: &[PathBuf]) -> Result<Verified, NotVerified> {
    let key = ChainKey::new(&load(KeyUse::Audit, key_file)?);
    let newest = files.last().map_or(path, PathBuf::as_path);
    let anchor_path = files::anchor_path(newest);
    // Before the lines: those that are written meanwhile come after it.
    let anchor = files::read_anchor(&anchor_path, &key).map_err(|why| match why {
        NoAnchor::Io(source) => VerifyError::Unreadable {
            path: anchor_path.clone(),
            source,
        },
        NoAnchor::Taken | NoAnchor::Forged => VerifyError::Anchor {
            path: anchor_path.clone(),
        },
    })?;
    let files = match files {
        [] if anchor.is_none() => {
            return Err(match whole(path) {
                Ok(_) => VerifyError::Anchor { path: anchor_path },
                Err(nothing) => nothing,
            }
            .into());
        }
        [] => whole(path)?,
        some => some.to_vec(),
    };
    Ok(verify::verify(&key, anchor, &files)?)
}

/// All files of a log, the oldest first.
fn whole(path: &Path) -> Result<Vec<PathBuf>, VerifyError> {
    let numbers = files::all(path).map_err(|source| VerifyError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    if numbers.is_empty() {
        return Err(VerifyError::Nothing {
            path: path.to_owned(),
        });
    }
    let paths = numbers.into_iter().map(|number| files::aside(path, number));
    Ok(paths.collect())
}

#[cfg(test)]
mod tests;
