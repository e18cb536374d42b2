//! What a supervisor is heard through: a stream that can be waited for.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::os::fd::AsFd as _;
use std::time::Instant;

use nix::errno::Errno;
use nix::sys::select::{FdSet, pselect};
use nix::sys::time::TimeSpec;

/// A stream that can be waited for.
pub trait Input: Read {
    /// Waits until there is something to read, or the stream's end. False when that time came first;
    /// one that is over means that nothing is waited for.
    ///
    /// # Errors
    /// What the system says.
    fn wait(&mut self, until: Option<Instant>) -> io::Result<bool>;
}

impl Input for File {
    fn wait(&mut self, until: Option<Instant>) -> io::Result<bool> {
        loop {
            // Not poll: that counts against the limit of descriptors, which is 0 in the jail.
            let mut files = FdSet::new();
            files.insert(self.as_fd());
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let left = left.map(TimeSpec::from_duration);
            match pselect(None, &mut files, None, None, left.as_ref(), None) {
                Ok(ready) => return Ok(ready > 0),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

/// Everything that it holds is there already.
impl<T: AsRef<[u8]>> Input for Cursor<T> {
    fn wait(&mut self, _until: Option<Instant>) -> io::Result<bool> {
        Ok(true)
    }
}
