//! What is said to a worker, on its way into a pipe that must not block.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

use mcp_v8_protocol::codec::FrameReader;
use mcp_v8_protocol::message::ToWorker;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::net::unix::pipe;

use crate::limits;

/// What was said to a worker, with the pipe that it goes into: what it was given first, and replies
/// behind that.
#[derive(Debug)]
pub(super) struct Letter {
    to: pipe::Sender,
    /// The frame that was put first. Emptied when all of it was written and somebody has read of it:
    /// not all of it can be in the pipe, or a reply follows to what was asked after reading it.
    first: Vec<u8>,
    written: usize,
    replies: Replies,
    /// Whether the other end was closed while something was not written.
    is_refused: bool,
}

/// Frames behind the first, in order.
#[derive(Debug, Default)]
struct Replies {
    frames: VecDeque<Vec<u8>>,
    /// Of the foremost.
    written: usize,
    /// Of all, whether written or not.
    bytes: usize,
}

impl Replies {
    fn push(&mut self, frame: Vec<u8>) {
        self.bytes += frame.len();
        self.frames.push_back(frame);
    }

    fn rest(&self) -> &[u8] {
        let foremost = self.frames.front();
        foremost.map_or(&[], |frame| &frame[self.written..])
    }

    fn wrote(&mut self, length: usize) {
        self.written += length;
        if self.rest().is_empty()
            && let Some(frame) = self.frames.pop_front()
        {
            self.bytes -= frame.len();
            self.written = 0;
        }
    }
}

impl Letter {
    pub(super) fn new(to: pipe::Sender) -> Self {
        Self {
            to,
            first: Vec::new(),
            written: 0,
            replies: Replies::default(),
            is_refused: false,
        }
    }

    /// What is said first.
    pub(super) fn put(&mut self, frame: Vec<u8>) {
        self.first = frame;
        self.written = 0;
    }

    /// What is said behind it. Nothing is said any more to who does not listen.
    pub(super) fn reply(&mut self, frame: Vec<u8>) {
        if self.is_refused {
            return;
        }
        if !self.is_unwritten() {
            self.forget();
        }
        self.replies.push(frame);
    }

    /// Whether one more reply may be put. One may be, however long it is, while there are few bytes.
    pub(super) fn has_room(&self) -> bool {
        self.replies.bytes < limits::REPLIES_BYTES_MAX && !self.is_refused
    }

    /// Whether nobody can have read all of what was put first.
    pub(super) fn is_unwritten(&self) -> bool {
        self.written < self.first.len()
    }

    /// Whether something is still to be written, to somebody who listens.
    pub(super) fn is_under_way(&self) -> bool {
        let has_more = self.is_unwritten() || !self.replies.frames.is_empty();
        has_more && !self.is_refused
    }

    /// Waits until the pipe may have room, for ever when nothing is under way. Nothing is lost when the
    /// future is dropped.
    pub(super) async fn writable(&self) -> io::Result<()> {
        if self.is_under_way() {
            return self.to.writable().await;
        }
        std::future::pending().await
    }

    /// Writes as much as the pipe takes now of one frame.
    pub(super) fn write_some(&mut self) -> io::Result<()> {
        let is_first = self.is_unwritten();
        let rest = if is_first {
            &self.first[self.written..]
        } else {
            self.replies.rest()
        };
        match self.to.try_write(rest) {
            Ok(length) if is_first => self.written += length,
            Ok(length) => self.replies.wrote(length),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // It does not listen any more: what it still says, or its end, tells why.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.is_refused = true;
                self.replies = Replies::default();
            }
            Err(error) => return Err(error),
        }
        let is_written = self.written == self.first.len();
        let has_reader = self.written > limits::PIPE_BYTES_MAX || !self.replies.frames.is_empty();
        if is_written && has_reader {
            self.forget();
        }
        Ok(())
    }

    /// Somebody has read of what was put first.
    fn forget(&mut self) {
        self.first = Vec::new();
        self.written = 0;
    }

    /// What was put first, when it is certain that nobody has read a byte of it and nobody will: no end
    /// to read from is open anywhere, and every byte that went into the pipe is still in it.
    ///
    /// A worker takes what it reads out of the pipe; without taking it out (`tee`) it could be looked
    /// at by a worker that runs somebody's code already, and this one has none yet. Ask only when the
    /// process has ended: before, its ends may be closed one after another.
    pub(super) fn unread(self) -> Option<ToWorker> {
        let is_untouched = self.has_no_reader() && self.bytes_in_pipe() == Some(self.written);
        if !is_untouched || self.first.is_empty() {
            return None;
        }
        let mut reader = FrameReader::<ToWorker>::default();
        reader.push(&self.first);
        reader.next_message().ok().flatten()
    }

    /// Whether every end to read from is closed. Nobody can open another one.
    fn has_no_reader(&self) -> bool {
        let mut watched = [PollFd::new(self.to.as_fd(), PollFlags::empty())];
        let found = poll(&mut watched, PollTimeout::ZERO);
        let events = watched[0].revents().unwrap_or(PollFlags::empty());
        found.is_ok() && events.contains(PollFlags::POLLERR)
    }

    fn bytes_in_pipe(&self) -> Option<usize> {
        let mut bytes: libc::c_int = 0;
        // SAFETY: the call writes one integer, to a local that outlives it.
        let result = unsafe { libc::ioctl(self.to.as_raw_fd(), libc::FIONREAD, &raw mut bytes) };
        Errno::result(result).ok()?;
        usize::try_from(bytes).ok()
    }
}
