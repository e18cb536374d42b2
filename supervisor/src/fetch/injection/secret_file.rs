//! A file with a value, which is read again when it has changed.
//!
//! It may be far away, slow or gone. One thread looks at it at a time, all who came before that share what
//! it finds, and nobody waits for long.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{OwnedMutexGuard, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};

use super::value::Secret;
use crate::limits::{
    HEADER_FILE_LOG_INTERVAL, HEADER_FILE_TIMEOUT, HEADER_FILES_AT_ONCE_MAX, HEADER_VALUE_BYTES_MAX,
};
use crate::telemetry::Seldom;

/// The threads that look at such files. One may take as long as the file's system likes.
static LOOKS: Semaphore = Semaphore::const_new(HEADER_FILES_AT_ONCE_MAX);

/// What tells one state of a file from another.
type Mark = (u64, i64, i64, u64);

/// What was found. An error has several who hear of it.
pub(super) type Found = Result<Secret, Arc<io::Error>>;

/// A file with a value.
#[derive(Debug)]
pub(super) struct SecretFile {
    pub(super) path: PathBuf,
    /// Who has it may look; the last look is in it.
    flight: Arc<tokio::sync::Mutex<Option<Look>>>,
    complaints: Seldom,
}

#[derive(Debug)]
struct Look {
    began: Instant,
    mark: Option<Mark>,
    found: Found,
}

type Flight = OwnedMutexGuard<Option<Look>>;

impl SecretFile {
    pub(super) fn at(path: PathBuf) -> Self {
        Self {
            path,
            flight: Arc::default(),
            complaints: Seldom::every(HEADER_FILE_LOG_INTERVAL),
        }
    }

    /// What it holds now, and not before this was asked.
    pub(super) async fn now(&self) -> Found {
        let looking = self.look(Instant::now());
        let found = timeout(HEADER_FILE_TIMEOUT, looking).await;
        found.unwrap_or_else(|_| Err(Arc::new(io::ErrorKind::TimedOut.into())))
    }

    async fn look(&self, came: Instant) -> Found {
        let broken_off = || Arc::new(io::Error::from(io::ErrorKind::Interrupted));
        let flight = Arc::clone(&self.flight).lock_owned().await;
        if let Some(look) = &*flight
            && look.began >= came
        {
            return look.found.clone();
        }
        let turn = LOOKS.acquire().await.map_err(|_| broken_off())?;
        let path = self.path.clone();
        // It goes on when nobody waits for it any more: who comes later waits for its end.
        let looking = spawn_blocking(move || {
            let _turn = turn;
            look_again(flight, &path)
        });
        looking.await.unwrap_or_else(|_| Err(broken_off()))
    }

    /// Tells the log, though not at each request.
    pub(super) fn complain(&self, error: &io::Error) {
        if self.complaints.is_due() {
            let path = self.path.display();
            tracing::warn!("{path}, which has the value of a header, cannot be read: {error}");
        }
    }
}

fn look_again(mut flight: Flight, path: &Path) -> Found {
    let began = Instant::now();
    let (mark, found) = match path.metadata().map(|seen| mark(&seen)) {
        Err(error) => (None, Err(Arc::new(error))),
        Ok(mark) => {
            let known = flight.take().filter(|last| last.mark == Some(mark));
            let found = match known {
                Some(last) => last.found,
                None => read(path).map(Secret::new).map_err(Arc::new),
            };
            // What could not be read is tried again.
            (found.is_ok().then_some(mark), found)
        }
    };
    *flight = Some(Look {
        began,
        mark,
        found: found.clone(),
    });
    found
}

/// The whole file, without line ends behind the last line.
fn read(path: &Path) -> io::Result<String> {
    // A pipe would be waited for.
    let mut options = OpenOptions::new();
    let file: File = options
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut text = String::new();
    let most = HEADER_VALUE_BYTES_MAX as u64 + 1;
    let not_text = |error: io::Error| match error.kind() {
        io::ErrorKind::InvalidData => io::Error::other("it is not text"),
        _ => error,
    };
    file.take(most)
        .read_to_string(&mut text)
        .map_err(not_text)?;
    text.truncate(text.trim_end_matches(['\r', '\n']).len());
    match text.len() {
        0 => Err(io::Error::other("it is empty")),
        length if length > HEADER_VALUE_BYTES_MAX => Err(io::Error::other("it is too large")),
        _ => Ok(text),
    }
}

fn mark(found: &Metadata) -> Mark {
    (found.ino(), found.mtime(), found.mtime_nsec(), found.len())
}

#[cfg(test)]
#[path = "secret_file_tests.rs"]
mod tests;
