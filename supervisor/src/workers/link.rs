//! The conversation with one worker: frames over two pipes, neither of which may block.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use mcp_v8_protocol::codec::{DecodeError, FrameReader, encode};
use mcp_v8_protocol::message::{FromWorker, ToWorker};
use mcp_v8_protocol::phase::{Phase, Violation};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::net::unix::pipe;

use crate::limits;

/// How a worker broke the conversation.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// Its bytes are no message.
    #[error("it sent bytes that are no message ({0})")]
    Decode(#[from] DecodeError),
    /// Its message was not legal.
    #[error("it broke the protocol ({0})")]
    Violation(#[from] Violation),
    /// It closed its pipe in the middle of a message.
    #[error("it closed its pipe in the middle of a message")]
    Torn,
    /// The pipe failed.
    #[error("its pipe failed ({0})")]
    Io(#[from] io::Error),
}

/// The supervisor's end of the two pipes.
#[derive(Debug)]
pub(super) struct Link {
    from: pipe::Receiver,
    reader: FrameReader<FromWorker>,
    phase: Phase,
    buffer: Box<[u8]>,
    hung_up: bool,
    letter: Letter,
}

/// What was said to a worker, with the pipe that it goes into.
#[derive(Debug)]
pub(super) struct Letter {
    to: pipe::Sender,
    /// The frame. Emptied when all of it was written and not all of it can be in the pipe: somebody
    /// has read of it then.
    frame: Vec<u8>,
    written: usize,
    /// Whether the other end was closed while some of it was not written.
    is_refused: bool,
}

impl Letter {
    fn new(to: pipe::Sender) -> Self {
        Self {
            to,
            frame: Vec::new(),
            written: 0,
            is_refused: false,
        }
    }

    fn put(&mut self, frame: Vec<u8>) {
        self.frame = frame;
        self.written = 0;
    }

    /// Whether nobody can have read all of it.
    fn is_unwritten(&self) -> bool {
        self.written < self.frame.len()
    }

    /// Whether some of it is still to be written, to somebody who listens.
    fn is_under_way(&self) -> bool {
        self.is_unwritten() && !self.is_refused
    }

    fn write_some(&mut self) -> Result<(), LinkError> {
        match self.to.try_write(&self.frame[self.written..]) {
            Ok(length) => self.written += length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // It does not listen any more: what it still says, or its end, tells why.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => self.is_refused = true,
            Err(error) => return Err(error.into()),
        }
        if self.written == self.frame.len() && self.written > limits::PIPE_BYTES_MAX {
            self.frame = Vec::new();
            self.written = 0;
        }
        Ok(())
    }

    /// What was said, when it is certain that nobody has read a byte of it and nobody will: no end
    /// to read from is open anywhere, and every byte that went into the pipe is still in it.
    ///
    /// A worker takes what it reads out of the pipe; without taking it out (`tee`) it could be looked
    /// at by a worker that runs somebody's code already, and this one has none yet. Ask only when the
    /// process has ended: before, its ends may be closed one after another.
    pub(super) fn unread(self) -> Option<ToWorker> {
        let is_untouched = self.has_no_reader() && self.bytes_in_pipe() == Some(self.written);
        if !is_untouched || self.frame.is_empty() {
            return None;
        }
        let mut reader = FrameReader::<ToWorker>::default();
        reader.push(&self.frame);
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

impl Link {
    pub(super) fn new(to_worker: OwnedFd, from_worker: OwnedFd) -> io::Result<Self> {
        Ok(Self {
            from: pipe::Receiver::from_owned_fd(from_worker)?,
            reader: FrameReader::default(),
            phase: Phase::Booting,
            buffer: vec![0; limits::LINK_READ_BYTES].into_boxed_slice(),
            hung_up: false,
            letter: Letter::new(pipe::Sender::from_owned_fd(to_worker)?),
        })
    }

    /// Queues a message; it travels while [`Link::receive`] is awaited.
    ///
    /// What the other end said out of turn, before it could have this message, is a violation.
    pub(super) fn send(&mut self, message: &ToWorker) -> Result<(), LinkError> {
        self.try_receive()?;
        self.phase = self.phase.on_to_worker(message)?;
        self.letter.put(encode(message)?);
        Ok(())
    }

    /// The end of the conversation; what was said is kept.
    pub(super) fn into_letter(self) -> Letter {
        self.letter
    }

    /// The next message; `None` when the worker has closed its end. Nothing is lost when the future
    /// is dropped.
    pub(super) async fn receive(&mut self) -> Result<Option<FromWorker>, LinkError> {
        loop {
            if let Some(message) = self.take_message()? {
                return Ok(Some(message));
            }
            if self.hung_up {
                return self.end();
            }
            let is_sending = self.letter.is_under_way();
            tokio::select! {
                ready = self.from.readable() => {
                    ready?;
                    self.read_some()?;
                }
                ready = self.letter.to.writable(), if is_sending => {
                    ready?;
                    self.letter.write_some()?;
                }
            }
        }
    }

    /// The next message that has already come; `None` when there is none, or no more. Does not wait,
    /// and asks the kernel itself: the runtime may not have noticed yet what a dead worker said.
    pub(super) fn try_receive(&mut self) -> Result<Option<FromWorker>, LinkError> {
        loop {
            if let Some(message) = self.take_message()? {
                return Ok(Some(message));
            }
            if self.hung_up {
                return self.end();
            }
            match nix::unistd::read(&self.from, &mut self.buffer) {
                Ok(0) => self.hung_up = true,
                Ok(length) => self.reader.push(&self.buffer[..length]),
                Err(Errno::EAGAIN) => return self.end(),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(io::Error::from(errno).into()),
            }
        }
    }

    fn end(&self) -> Result<Option<FromWorker>, LinkError> {
        if self.reader.is_mid_frame() {
            return Err(LinkError::Torn);
        }
        Ok(None)
    }

    fn take_message(&mut self) -> Result<Option<FromWorker>, LinkError> {
        let Some(message) = self.reader.next_message()? else {
            return Ok(None);
        };
        if self.letter.is_unwritten() {
            // It answers what it has not read.
            return Err(LinkError::Violation(Violation {
                phase: Phase::Parked,
                message: message.name(),
            }));
        }
        self.phase = self.phase.on_from_worker(&message)?;
        Ok(Some(message))
    }

    fn read_some(&mut self) -> Result<(), LinkError> {
        match self.from.try_read(&mut self.buffer) {
            Ok(0) => self.hung_up = true,
            Ok(length) => self.reader.push(&self.buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}
