//! The conversation with one worker: frames over two pipes, neither of which may block.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use mcp_v8_protocol::codec::{DecodeError, FrameReader, encode};
use mcp_v8_protocol::message::{FromWorker, ToWorker};
use mcp_v8_protocol::phase::{Phase, Violation};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::net::unix::pipe;
use tokio::task::coop;

use crate::limits::{self, FRAMES_MAX};

/// How a worker broke the conversation.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// Its bytes are no message.
    #[error("it sent bytes that are no message ({0})")]
    Decode(#[from] DecodeError),
    /// Its message was not legal.
    #[error("it broke the protocol ({0})")]
    Violation(#[from] Violation),
    /// It spoke more often than an execution may.
    #[error("it sent more than {FRAMES_MAX} messages, which is all that one execution may send")]
    TooManyFrames,
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
    /// Messages that it may still send.
    frames_left: u64,
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
            frames_left: FRAMES_MAX,
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
    ///
    /// Messages that are here already count against the time of the task: however fast they come,
    /// others get their turn, and clocks are looked at.
    pub(super) async fn receive(&mut self) -> Result<Option<FromWorker>, LinkError> {
        loop {
            coop::consume_budget().await;
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
        let left = self.frames_left.checked_sub(1);
        self.frames_left = left.ok_or(LinkError::TooManyFrames)?;
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

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use mcp_v8_protocol::message::{Confinement, Console, Hello};

    use super::*;

    fn say(output: &mut io::PipeWriter, message: &FromWorker) {
        let frame = encode(message).expect("a short message");
        output.write_all(&frame).expect("a pipe with room");
    }

    /// A link to a worker that runs, and the worker's ends.
    fn running() -> (Link, io::PipeReader, io::PipeWriter) {
        let (input, to_worker) = io::pipe().expect("a pipe");
        let (from_worker, mut output) = io::pipe().expect("a pipe");
        let mut link = Link::new(to_worker.into(), from_worker.into()).expect("a link");
        let hello = Hello {
            protocol_version: 0,
            worker_version: String::new(),
            v8_version: String::new(),
            heap_build: String::new(),
            confinement: Confinement::default(),
        };
        say(&mut output, &FromWorker::Hello(hello));
        assert!(matches!(link.try_receive(), Ok(Some(_))));
        link.phase = Phase::Running;
        (link, input, output)
    }

    #[tokio::test]
    async fn messages_are_counted() {
        let (mut link, _input, mut output) = running();
        assert_eq!(link.frames_left, FRAMES_MAX - 1);
        link.frames_left = 2;
        let text = String::new();
        for _ in 0..3 {
            say(
                &mut output,
                &FromWorker::Console(Console { text: text.clone() }),
            );
        }
        for _ in 0..2 {
            assert!(matches!(link.receive().await, Ok(Some(_))));
        }
        let error = link.receive().await;
        assert!(matches!(error, Err(LinkError::TooManyFrames)), "{error:?}");
    }

    #[tokio::test]
    async fn messages_that_are_here_already_leave_others_their_turn() {
        let (mut link, _input, mut output) = running();
        let text = String::new();
        for _ in 0..2000 {
            say(
                &mut output,
                &FromWorker::Console(Console { text: text.clone() }),
            );
        }
        let other = tokio::spawn(std::future::ready(()));
        let mut heard = 0;
        while !other.is_finished() {
            assert!(matches!(link.receive().await, Ok(Some(_))));
            heard += 1;
        }
        assert!(
            heard < 1000,
            "{heard} messages before anybody else had a turn"
        );
    }
}
