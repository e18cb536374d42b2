//! Blobs in a directory, which several processes may use at once.
//!
//! ```text
//! <directory>/users/<database>.user         which databases use it
//! <directory>/.lock                         one byte of it is locked for each name
//! <directory>/<tenant's folder>/<heap>.heap
//! <directory>/<tenant's folder>/.<heap>.<random>.new   while it is written
//! ```
//!
//! A blob is written under a temporary name, synced, renamed, and its directory synced: under its own
//! name it is whole, or not there. A put and a delete of one name exclude each other, so that what a
//! put has found in place cannot be removed as old before its put is known.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use lru::LruCache;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::files::{Disk, Files};
use super::name::{BlobName, TenantFolder};
use super::users::{self, HeapUser};
use super::{BlobError, BlobStore, ListedBlob, blocking};
use crate::limits::{DURABLE_NAMES_MAX, HEAP_LEFTOVER_AGE_MIN, SEALED_HEAP_BYTES_MAX};

const LOCK_NAME: &str = ".lock";
const NEW_SUFFIX: &str = ".new";

/// A directory of blobs.
#[derive(Debug)]
pub(in crate::heaps) struct Directory<F = Disk>(Arc<Inner<F>>);

#[derive(Debug)]
struct Inner<F> {
    path: PathBuf,
    files: F,
    durable: Mutex<Durable>,
}

/// What this process has synced. Finding something in place is not enough: whoever put it there may
/// have been killed before it was durable. To sync again what is in place would take as long as to
/// write it, and the heaps that are put most are those that are there.
#[derive(Debug)]
struct Durable {
    folders: LruCache<TenantFolder, ()>,
    files: LruCache<BlobName, FileId>,
}

/// Tells a file from every other of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileId {
    inode: u64,
    made: Option<SystemTime>,
}

impl FileId {
    fn of(about: &Metadata) -> Self {
        Self {
            inode: about.ino(),
            made: about.created().ok(),
        }
    }
}

impl Directory {
    /// Opens a directory, which is made when it is missing.
    pub(in crate::heaps) fn open(path: &Path) -> io::Result<Self> {
        Self::open_with(path, Disk)
    }
}

impl<F: Files> Directory<F> {
    pub(in crate::heaps) fn open_with(path: &Path, files: F) -> io::Result<Self> {
        files.make_directory(path)?;
        let durable = Mutex::new(Durable {
            folders: LruCache::new(DURABLE_NAMES_MAX),
            files: LruCache::new(DURABLE_NAMES_MAX),
        });
        let path = path.to_owned();
        Ok(Self(Arc::new(Inner {
            path,
            files,
            durable,
        })))
    }

    /// A blob that is to be used now, which counts as putting it.
    pub(super) async fn get_to_use(&self, name: BlobName) -> Result<Option<Bytes>, BlobError> {
        self.blocking(move |inner| {
            let found = inner.get(name)?;
            if found.is_some() {
                let path = inner.folder(name.folder).join(name.file());
                // Where it fails, the blob is only older than it should be.
                let _ = inner
                    .files
                    .open(&path)
                    .and_then(|file| inner.files.touch(&file));
            }
            Ok(found)
        })
        .await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner<F>) -> Result<T, BlobError> + Send + 'static,
    ) -> Result<T, BlobError> {
        let inner = Arc::clone(&self.0);
        blocking(move || work(&inner)).await
    }
}

#[async_trait]
impl<F: Files> BlobStore for Directory<F> {
    async fn put(&self, name: BlobName, blob: Bytes) -> Result<(), BlobError> {
        self.blocking(move |inner| inner.put(name, &blob)).await
    }

    async fn get(&self, name: BlobName) -> Result<Option<Bytes>, BlobError> {
        self.blocking(move |inner| inner.get(name)).await
    }

    async fn size(&self, name: BlobName) -> Result<Option<u64>, BlobError> {
        self.blocking(move |inner| inner.size(name)).await
    }

    async fn enter(&self, user: HeapUser) -> Result<(), BlobError> {
        self.blocking(move |inner| {
            let entered = users::enter(&inner.files, &inner.path, &user);
            entered.map_err(|error| unavailable(&inner.path, &error))
        })
        .await
    }

    async fn users(&self) -> Result<Option<Vec<HeapUser>>, BlobError> {
        self.blocking(|inner| match users::users(&inner.files, &inner.path) {
            Ok(users) => Ok(Some(users)),
            Err(error) => Err(unavailable(&inner.path, &error)),
        })
        .await
    }

    async fn dismiss(&self, id: String) -> Result<(), BlobError> {
        self.blocking(move |inner| {
            let dismissed = users::dismiss(&inner.files, &inner.path, &id);
            dismissed.map_err(|error| unavailable(&inner.path, &error))
        })
        .await
    }

    async fn delete(&self, name: BlobName, seen: SystemTime) -> Result<bool, BlobError> {
        self.blocking(move |inner| inner.delete(name, seen)).await
    }

    async fn list(&self, found: mpsc::Sender<ListedBlob>) -> Result<(), BlobError> {
        self.blocking(move |inner| {
            inner.each_file(|folder, entry| {
                let name = entry.file_name();
                let Some(name) = name
                    .to_str()
                    .and_then(|file| BlobName::of_file(folder, file))
                else {
                    return Ok(true);
                };
                let about = entry.metadata()?;
                let blob = ListedBlob {
                    name,
                    bytes: about.len(),
                    put_at: about.modified()?,
                };
                Ok(found.blocking_send(blob).is_ok())
            })
        })
        .await
    }

    async fn sweep(&self) -> Result<(), BlobError> {
        self.blocking(Inner::sweep).await
    }
}

impl<F: Files> Inner<F> {
    fn put(&self, name: BlobName, blob: &[u8]) -> Result<(), BlobError> {
        let folder = self.folder(name.folder);
        let path = folder.join(name.file());
        let put = || {
            self.make_folder(name.folder, &folder)?;
            let _held = self.lock(name)?;
            match self.found_equal(name, &folder, &path, blob) {
                Ok(true) => Ok(()),
                // What cannot be read is replaced.
                Ok(false) | Err(_) => self.write(name, &folder, &path, blob),
            }
        };
        put().map_err(|error| unavailable(&path, &error))
    }

    fn make_folder(&self, folder: TenantFolder, path: &Path) -> io::Result<()> {
        self.files.make_directory(path)?;
        if self.durable().folders.get(&folder).is_none() {
            self.sync_directory(&self.path)?;
            self.durable().folders.put(folder, ());
        }
        Ok(())
    }

    /// Whether that very blob is there, durably. It counts as put now.
    fn found_equal(
        &self,
        name: BlobName,
        folder: &Path,
        path: &Path,
        blob: &[u8],
    ) -> io::Result<bool> {
        let file = self.files.open(path)?;
        let bytes_max = blob.len() as u64 + 1;
        if self.files.read(&file, bytes_max)? != blob {
            return Ok(false);
        }
        let id = FileId::of(&self.files.about(&file)?);
        if self.durable().files.get(&name) != Some(&id) {
            self.files.sync(&file)?;
            self.sync_directory(folder)?;
            self.durable().files.put(name, id);
        }
        self.files.touch(&file)?;
        Ok(true)
    }

    fn write(&self, name: BlobName, folder: &Path, path: &Path, blob: &[u8]) -> io::Result<()> {
        let random = Uuid::new_v4();
        let new = folder.join(format!(".{}.{}{NEW_SUFFIX}", name.id, random.as_simple()));
        let written = || {
            let file = self.files.create(&new)?;
            self.files.write(&file, blob)?;
            self.files.sync(&file)?;
            let id = FileId::of(&self.files.about(&file)?);
            self.files.rename(&new, path)?;
            Ok(id)
        };
        let id = written().inspect_err(|_: &io::Error| {
            // Where this fails too, a sweep comes by.
            let _ = self.files.remove(&new);
        })?;
        self.sync_directory(folder)?;
        self.durable().files.put(name, id);
        Ok(())
    }

    fn get(&self, name: BlobName) -> Result<Option<Bytes>, BlobError> {
        let path = self.folder(name.folder).join(name.file());
        let bytes_max = SEALED_HEAP_BYTES_MAX as u64;
        let read = || self.files.read(&self.files.open(&path)?, bytes_max + 1);
        match read() {
            Ok(blob) if blob.len() > SEALED_HEAP_BYTES_MAX => Err(BlobError::Oversized),
            Ok(blob) => Ok(Some(blob.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unavailable(&path, &error)),
        }
    }

    fn size(&self, name: BlobName) -> Result<Option<u64>, BlobError> {
        let path = self.folder(name.folder).join(name.file());
        let about = self
            .files
            .open(&path)
            .and_then(|file| self.files.about(&file));
        match about {
            Ok(about) => Ok(Some(about.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unavailable(&path, &error)),
        }
    }

    fn delete(&self, name: BlobName, seen: SystemTime) -> Result<bool, BlobError> {
        let path = self.folder(name.folder).join(name.file());
        let delete = || -> io::Result<bool> {
            let _held = self.lock(name)?;
            if self.files.about(&self.files.open(&path)?)?.modified()? > seen {
                return Ok(false);
            }
            self.files.remove(&path)?;
            Ok(true)
        };
        match delete() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            deleted => deleted.map_err(|error| unavailable(&path, &error)),
        }
    }

    /// Removes what is older than any put takes and was never renamed. Its users see their files in
    /// use: a system that clears old files out of temporary directories must not take the lock.
    fn sweep(&self) -> Result<(), BlobError> {
        self.each_file(|_, entry| {
            let name = entry.file_name();
            let is_new = name
                .to_str()
                .is_some_and(|name| name.starts_with('.') && name.ends_with(NEW_SUFFIX));
            if is_new {
                let age = entry.metadata()?.modified()?.elapsed();
                if age.is_ok_and(|age| age >= HEAP_LEFTOVER_AGE_MIN) {
                    self.files.remove(&entry.path())?;
                }
            }
            Ok(true)
        })?;
        let lock = self.path.join(LOCK_NAME);
        match self
            .files
            .open(&lock)
            .and_then(|file| self.files.touch(&file))
        {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(unavailable(&lock, &error))
            }
            _ => Ok(()),
        }
    }

    /// Shows each file of each tenant, until `show` says that it is enough.
    fn each_file(
        &self,
        mut show: impl FnMut(TenantFolder, &fs::DirEntry) -> io::Result<bool>,
    ) -> Result<(), BlobError> {
        let whole = |error: io::Error| unavailable(&self.path, &error);
        for entry in fs::read_dir(&self.path).map_err(whole)? {
            let entry = entry.map_err(whole)?;
            let Some(folder) = entry.file_name().to_str().and_then(TenantFolder::named) else {
                continue;
            };
            let path = entry.path();
            let here = |error: io::Error| unavailable(&path, &error);
            for entry in fs::read_dir(&path).map_err(here)? {
                match show(folder, &entry.map_err(here)?) {
                    Ok(true) => {}
                    Ok(false) => return Ok(()),
                    // Somebody else has just renamed or removed it.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(here(error)),
                }
            }
        }
        Ok(())
    }

    fn folder(&self, folder: TenantFolder) -> PathBuf {
        self.path.join(folder.to_string())
    }

    fn lock(&self, name: BlobName) -> io::Result<File> {
        let [a, b, c, d, ..] = *name.id.as_bytes();
        let which = u32::from_le_bytes([a, b, c, d]);
        self.files.lock(&self.path.join(LOCK_NAME), which)
    }

    fn durable(&self) -> std::sync::MutexGuard<'_, Durable> {
        self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.files.sync(&self.files.open(path)?)
    }
}

fn unavailable(path: &Path, error: &io::Error) -> BlobError {
    BlobError::Unavailable(format!("{}: {error}", path.display()))
}

#[cfg(test)]
#[path = "directory_tests.rs"]
mod tests;
