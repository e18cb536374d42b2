//! The heap window: memory that a worker shares with its supervisor, in which snapshots travel.
//!
//! The supervisor makes a file in memory and hands it over with the pipes. The worker maps it before
//! the jail is shut and closes it, so that there is nothing in the jail to resize or pass on. Before
//! Start the supervisor gives the file its size, and writes the snapshot of a stored heap into it,
//! which V8 reads in place. At the end the snapshot of the new heap is written over it.

use std::os::fd::{AsRawFd, OwnedFd};

use mcp_v8_protocol::limits::SNAPSHOT_BYTES_MAX;
use nix::errno::Errno;

/// The mapping. It is never undone.
#[derive(Debug)]
pub struct Window {
    start: *mut u8,
    /// The size of the file behind it, as the supervisor says. Beyond it the kernel ends the process.
    bytes: usize,
}

/// A snapshot does not fit into the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a snapshot of {bytes} bytes does not fit into a heap window of {room}")]
pub struct TooLarge {
    /// The snapshot's size.
    pub bytes: usize,
    /// The window's.
    pub room: usize,
}

impl Window {
    /// Maps the file, and closes it.
    ///
    /// # Errors
    /// What the kernel says when it does not map it.
    pub fn map(file: OwnedFd) -> Result<Self, Errno> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let length = usize::try_from(SNAPSHOT_BYTES_MAX).map_err(|_| Errno::EOVERFLOW)?;
        // SAFETY: a new mapping at an address that the kernel chooses.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                length,
                protection,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        Ok(Self {
            start: start.cast(),
            bytes: 0,
        })
    }

    /// Takes note of the size that the supervisor has given the file.
    pub fn open_to(&mut self, bytes: u64) {
        self.bytes = usize::try_from(bytes.min(SNAPSHOT_BYTES_MAX)).unwrap_or(0);
    }

    /// The snapshot that the supervisor has put there.
    ///
    /// # Errors
    /// [`TooLarge`] when there is no room for so much.
    ///
    /// # Safety
    /// [`Window::put`] must not be called while the slice is used.
    pub unsafe fn snapshot(&self, bytes: u64) -> Result<&'static [u8], TooLarge> {
        let length = self.fitting(usize::try_from(bytes).unwrap_or(usize::MAX))?;
        // SAFETY: the mapping lives as long as the process, the file behind it has so many bytes, and
        // who may write to it does not: the supervisor has written before Start, and the caller
        // answers for this process.
        Ok(unsafe { std::slice::from_raw_parts(self.start, length) })
    }

    /// Puts a snapshot there for the supervisor, over what was there.
    ///
    /// # Errors
    /// [`TooLarge`].
    pub fn put(&mut self, snapshot: &[u8]) -> Result<(), TooLarge> {
        let length = self.fitting(snapshot.len())?;
        // SAFETY: the mapping has room for it, and holds nothing of this program's.
        unsafe { std::ptr::copy_nonoverlapping(snapshot.as_ptr(), self.start, length) };
        Ok(())
    }

    fn fitting(&self, bytes: usize) -> Result<usize, TooLarge> {
        let room = self.bytes;
        if bytes <= room {
            Ok(bytes)
        } else {
            Err(TooLarge { bytes, room })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read as _, Seek as _, Write as _};
    use std::os::fd::FromRawFd as _;

    use super::*;

    fn file() -> File {
        // SAFETY: the name is a string that ends; the descriptor is nobody else's.
        unsafe { File::from_raw_fd(libc::memfd_create(c"test".as_ptr(), libc::MFD_CLOEXEC)) }
    }

    #[test]
    fn snapshots_travel_in_both_directions() {
        let mut file = file();
        let mut window = Window::map(file.try_clone().unwrap().into()).unwrap();
        file.set_len(16).unwrap();
        file.write_all(b"stored").unwrap();
        window.open_to(16);
        // SAFETY: nothing is put while it is looked at.
        assert_eq!(unsafe { window.snapshot(6) }, Ok(&b"stored"[..]));
        window.put(b"saved heap").unwrap();
        file.rewind().unwrap();
        let mut seen = [0; 10];
        file.read_exact(&mut seen).unwrap();
        assert_eq!(&seen, b"saved heap");
    }

    #[test]
    fn nothing_beyond_its_size_is_touched() {
        let mut window = Window::map(file().into()).unwrap();
        let refused = |bytes, room| Err(TooLarge { bytes, room });
        assert_eq!(window.put(b"x"), refused(1, 0));
        window.open_to(u64::MAX);
        let room = usize::try_from(SNAPSHOT_BYTES_MAX).unwrap();
        // SAFETY: nothing is put while it is looked at.
        let beyond = unsafe { window.snapshot(SNAPSHOT_BYTES_MAX + 1) };
        assert_eq!(
            beyond,
            Err(TooLarge {
                bytes: room + 1,
                room
            })
        );
    }
}
