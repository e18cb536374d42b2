//! The few things that are done with files, so that tests can let each of them fail.

use std::fmt::Debug;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::thread;
use std::time::{Instant, SystemTime};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};

use crate::limits::{HEAP_LOCK_POLL_INTERVAL, HEAP_LOCK_WAIT_MAX};

#[allow(
    clippy::cast_possible_truncation,
    reason = "both are below 4, and C has them in a field that is shorter than their own type"
)]
const WRITE_LOCK: libc::c_short = libc::F_WRLCK as libc::c_short;
#[allow(clippy::cast_possible_truncation, reason = "as above")]
const FROM_START: libc::c_short = libc::SEEK_SET as libc::c_short;

/// What is done with files: as the machine does it, but for what an implementation does otherwise.
pub(in crate::heaps) trait Files: Debug + Send + Sync + 'static {
    /// Makes a directory that is ours alone, and those above it, unless it is there.
    fn make_directory(&self, path: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)
    }

    /// Makes a file that is ours alone, and was not there.
    fn create(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
    }

    /// Opens a file, to read it.
    fn open(&self, path: &Path) -> io::Result<File> {
        File::open(path)
    }

    /// Reads a file to its end, or to this many bytes.
    fn read(&self, file: &File, bytes_max: u64) -> io::Result<Vec<u8>> {
        let length = file.metadata()?.len().min(bytes_max);
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
        file.take(bytes_max).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Writes all of it.
    fn write(&self, mut file: &File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    /// Makes a file or a directory durable.
    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    /// Says that a file was put now.
    fn touch(&self, file: &File) -> io::Result<()> {
        file.set_modified(SystemTime::now())
    }

    /// Which file it is, and when it was put.
    fn about(&self, file: &File) -> io::Result<Metadata> {
        file.metadata()
    }

    /// Gives a file another name, and replaces what has it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    /// Holds one of the many locks that are in this file, until what it gives is dropped or this
    /// process dies. Others wait meanwhile, in this process and elsewhere.
    fn lock(&self, path: &Path, which: u32) -> io::Result<File> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        let byte = libc::flock {
            l_type: WRITE_LOCK,
            l_whence: FROM_START,
            l_start: which.into(),
            l_len: 1,
            l_pid: 0,
        };
        let began = Instant::now();
        loop {
            match fcntl(file.as_fd(), FcntlArg::F_OFD_SETLK(&byte)) {
                Ok(_) => return Ok(file),
                Err(Errno::EAGAIN | Errno::EACCES) if began.elapsed() < HEAP_LOCK_WAIT_MAX => {
                    thread::sleep(HEAP_LOCK_POLL_INTERVAL);
                }
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// The machine's.
#[derive(Debug, Clone, Copy)]
pub(in crate::heaps) struct Disk;

impl Files for Disk {}

/// The machine's, where nothing need outlive it.
#[derive(Debug, Clone, Copy)]
pub(in crate::heaps) struct Unsynced;

impl Files for Unsynced {
    fn sync(&self, _file: &File) -> io::Result<()> {
        Ok(())
    }
}
