//! Where a database lives, and which of the servers on it are alive.
//!
//! Every server on a database holds a lock on a file of its own beside it, and has a row in `owners`
//! with the file's name. A row whose file is not locked belongs to a dead server.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;
use uuid::Uuid;

use super::StorePlace;
use super::error::OpenError;
use crate::limits;

pub(super) const DATABASE_NAME: &str = "executions.db";
const LOCK_PREFIX: &str = "owner-";
const LOCK_SUFFIX: &str = ".lock";
const TEMPORARY_PREFIX: &str = "mcp-v8-stateless-";
/// A younger directory may belong to a server that has not locked its file yet.
const ABANDONED_AGE_MIN: Duration = Duration::from_secs(60);
const JOURNAL_SIZE_BYTES_MAX: u64 = 64 << 20;

/// A directory that is ready for a database.
#[derive(Debug)]
pub(super) struct Place {
    directory: PathBuf,
    temporary: Option<TempDir>,
}

impl Place {
    pub(super) fn prepare(place: StorePlace) -> Result<Self, OpenError> {
        match place {
            StorePlace::Directory(directory) => {
                let unusable = |source| OpenError::Directory {
                    path: directory.clone(),
                    source,
                };
                DirBuilder::new()
                    .recursive(true)
                    .mode(0o700)
                    .create(&directory)
                    .map_err(unusable)?;
                // SQLite gives its journal the mode of the database.
                open_private(&directory.join(DATABASE_NAME)).map_err(unusable)?;
                Ok(Self {
                    directory,
                    temporary: None,
                })
            }
            StorePlace::Temporary => {
                remove_abandoned(&std::env::temp_dir());
                // Made with mode 0700 and an unpredictable name.
                let made = tempfile::Builder::new()
                    .prefix(TEMPORARY_PREFIX)
                    .tempdir()
                    .map_err(OpenError::Temporary)?;
                Ok(Self {
                    directory: made.path().to_owned(),
                    temporary: Some(made),
                })
            }
        }
    }

    /// The file of the database.
    pub(super) fn database(&self) -> PathBuf {
        self.directory.join(DATABASE_NAME)
    }

    /// Opens the database for its one writer.
    pub(super) fn open_writer(&self) -> Result<Connection, OpenError> {
        let connection = self.open()?;
        // A commit that is not synced survives the death of this process, which is what is promised;
        // a checkpoint is synced. A temporary database need not survive anything.
        let synchronous = if self.temporary.is_some() {
            "OFF"
        } else {
            "NORMAL"
        };
        set_wal(&connection)?;
        connection.execute_batch(&format!(
            "PRAGMA synchronous = {synchronous};
             PRAGMA journal_size_limit = {JOURNAL_SIZE_BYTES_MAX};
             PRAGMA temp_store = MEMORY;"
        ))?;
        Ok(connection)
    }

    /// Opens the database for a reader.
    pub(super) fn open_reader(&self) -> Result<Connection, rusqlite::Error> {
        let connection = self.open()?;
        connection.execute_batch("PRAGMA query_only = TRUE; PRAGMA temp_store = MEMORY;")?;
        Ok(connection)
    }

    fn open(&self) -> Result<Connection, rusqlite::Error> {
        let connection = Connection::open_with_flags(
            self.database(),
            OpenFlags::SQLITE_OPEN_READ_WRITE
                | OpenFlags::SQLITE_OPEN_CREATE
                | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        connection.busy_timeout(limits::STORE_BUSY_TIMEOUT)?;
        Ok(connection)
    }

    /// Makes and locks the file that says that this server is alive.
    pub(super) fn lock(&self) -> Result<OwnerLock, OpenError> {
        let name = format!("{LOCK_PREFIX}{}{LOCK_SUFFIX}", Uuid::new_v4().as_simple());
        let path = self.directory.join(&name);
        let locked = || {
            let file = open_private(&path)?;
            file.try_lock()?;
            Ok(file)
        };
        match locked() {
            Ok(file) => Ok(OwnerLock { file, name, path }),
            Err(source) => Err(OpenError::Lock { path, source }),
        }
    }

    /// Whether the server with this lock file is dead. Its file is removed then.
    pub(super) fn is_dead(&self, lock_name: &str) -> bool {
        // The name comes from the database: it must not lead anywhere else.
        let path = self.directory.join(lock_name);
        if path.parent() != Some(&self.directory) {
            return true;
        }
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) => return error.kind() == io::ErrorKind::NotFound,
        };
        let dead = file.try_lock().is_ok();
        if dead {
            let _ = fs::remove_file(&path);
        }
        dead
    }

    /// Shows that the files are in use: a system that clears old files out of its temporary
    /// directories must not take them from under a server that is idle.
    pub(super) fn touch(&self, lock: &OwnerLock) {
        let now = SystemTime::now();
        let _ = lock.file.set_modified(now);
        for suffix in ["", "-wal", "-shm"] {
            let path = self.directory.join(format!("{DATABASE_NAME}{suffix}"));
            let _ = File::open(path).and_then(|file| file.set_modified(now));
        }
    }

    /// Removes what is temporary. The rest stays.
    pub(super) fn leave(self) {
        if let Some(directory) = self.temporary
            && let Err(error) = directory.close()
        {
            tracing::warn!(%error, "the temporary database could not be removed");
        }
    }
}

/// Says that this server is alive, until it is dropped or its process dies.
#[derive(Debug)]
pub(super) struct OwnerLock {
    file: File,
    pub(super) name: String,
    path: PathBuf,
}

impl OwnerLock {
    /// Removes the file too: nothing of this server is left behind.
    pub(super) fn remove(self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Removes temporary databases whose servers were killed. Others' are not touched, nor are those
/// that cannot be judged.
fn remove_abandoned(directory: &Path) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        let is_ours = entry
            .file_name()
            .to_str()
            .is_some_and(|name| name.starts_with(TEMPORARY_PREFIX));
        if is_ours && is_abandoned(&entry.path()).unwrap_or(false) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn is_abandoned(directory: &Path) -> io::Result<bool> {
    let about = fs::symlink_metadata(directory)?;
    let is_old = about
        .modified()?
        .elapsed()
        .is_ok_and(|age| age >= ABANDONED_AGE_MIN);
    if !about.is_dir() || about.uid() != nix::unistd::geteuid().as_raw() || !is_old {
        return Ok(false);
    }
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_lock = name
            .to_str()
            .is_some_and(|name| name.starts_with(LOCK_PREFIX) && name.ends_with(LOCK_SUFFIX));
        if is_lock {
            return Ok(File::open(entry.path())?.try_lock().is_ok());
        }
    }
    Ok(false)
}

fn open_private(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

/// Readers and the writer do not wait for each other in this mode. Changing to it can fail without
/// SQLite's own waiting when servers start at the same time.
fn set_wal(connection: &Connection) -> Result<(), rusqlite::Error> {
    const TRIES: u32 = 50;
    for tries_left in (0..TRIES).rev() {
        let set = connection.query_row("PRAGMA journal_mode = WAL", [], |row| {
            row.get::<_, String>(0)
        });
        match set {
            Ok(_) => return Ok(()),
            Err(error) if tries_left == 0 => return Err(error),
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(parent: &Path, name: &str, age: Duration) -> (PathBuf, OwnerLock) {
        let directory = parent.join(format!("{TEMPORARY_PREFIX}{name}"));
        fs::create_dir(&directory).unwrap();
        let place = Place {
            directory: directory.clone(),
            temporary: None,
        };
        let lock = place.lock().unwrap();
        File::open(&directory)
            .unwrap()
            .set_modified(SystemTime::now() - age)
            .unwrap();
        (directory, lock)
    }

    #[test]
    fn only_old_directories_of_dead_servers_are_removed() {
        let parent = tempfile::tempdir().unwrap();
        let hour = Duration::from_secs(3600);
        let (alive, _held) = server(parent.path(), "alive", hour);
        let (dead, lock) = server(parent.path(), "dead", hour);
        drop(lock);
        let (young, lock) = server(parent.path(), "young", Duration::ZERO);
        drop(lock);
        let other = parent.path().join("mcp-v8-heaps");
        fs::create_dir(&other).unwrap();
        remove_abandoned(parent.path());
        assert!(alive.exists() && young.exists() && other.exists());
        assert!(!dead.exists());
    }

    #[test]
    fn a_lock_tells_the_living_from_the_dead() {
        let directory = tempfile::tempdir().unwrap();
        let place = Place::prepare(StorePlace::Directory(directory.path().join("data"))).unwrap();
        let lock = place.lock().unwrap();
        assert!(!place.is_dead(&lock.name));
        let name = lock.name.clone();
        drop(lock);
        assert!(place.is_dead(&name));
        // Its file is gone now, and stays dead.
        assert!(place.is_dead(&name));
        assert!(place.is_dead("../elsewhere.lock"));
    }
}
