//! The heap window: memory that a worker shares with this process, in which snapshots travel.
//!
//! It is a file in memory. Its size is set here, before the worker is told to start, and only here: a
//! worker maps it and closes it before it is confined. What a worker has put there may change as long
//! as that worker lives, so it is copied first and looked at afterwards.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;

use nix::sys::memfd::{MFdFlags, memfd_create};

/// The file. It has no name, and goes with its last descriptor and mapping.
#[derive(Debug)]
pub(super) struct Window(File);

impl Window {
    /// An empty one.
    pub(super) fn new() -> io::Result<Self> {
        let file = memfd_create(c"mcp-v8-heap", MFdFlags::MFD_CLOEXEC)?;
        Ok(Self(file.into()))
    }

    /// A descriptor of it, for the worker.
    pub(super) fn share(&self) -> io::Result<OwnedFd> {
        Ok(self.0.try_clone()?.into())
    }

    /// Gives it its size, in bytes, and puts a snapshot at its beginning.
    pub(super) fn fill(&self, bytes: u64, snapshot: &[u8]) -> io::Result<()> {
        self.0.set_len(bytes)?;
        if snapshot.len() as u64 > bytes {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.write_all_at(snapshot, 0)
    }

    /// Copies so many bytes of its beginning.
    pub(super) fn copy(&self, bytes: u64) -> io::Result<Vec<u8>> {
        // Before memory is taken for what only somebody says is there.
        if bytes > self.0.metadata()?.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let length = usize::try_from(bytes).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let mut snapshot = vec![0; length];
        self.0.read_exact_at(&mut snapshot, 0)?;
        Ok(snapshot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_there_can_be_copied_and_no_more_than_there_is() {
        let window = Window::new().unwrap();
        window.fill(8, b"heap").unwrap();
        assert_eq!(window.copy(4).unwrap(), b"heap");
        assert_eq!(window.copy(8).unwrap(), b"heap\0\0\0\0");
        assert!(window.copy(9).is_err());
        assert!(window.copy(u64::MAX).is_err());
        assert!(window.fill(3, b"heap").is_err());
    }

    #[test]
    fn who_shares_it_sees_the_same() {
        let window = Window::new().unwrap();
        window.fill(4, b"heap").unwrap();
        let theirs = File::from(window.share().unwrap());
        theirs.write_all_at(b"l", 0).unwrap();
        assert_eq!(window.copy(4).unwrap(), b"leap");
    }
}
