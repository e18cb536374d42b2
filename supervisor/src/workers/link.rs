//! The conversation with one worker: frames over two pipes, neither of which may block.

use std::io;
use std::os::fd::OwnedFd;

use mcp_v8_protocol::codec::{DecodeError, FrameReader, encode};
use mcp_v8_protocol::message::{FromWorker, ToWorker};
use mcp_v8_protocol::phase::{Phase, Violation};
use nix::errno::Errno;
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
    to: pipe::Sender,
    from: pipe::Receiver,
    reader: FrameReader<FromWorker>,
    phase: Phase,
    buffer: Box<[u8]>,
    outgoing: Vec<u8>,
    sent: usize,
    hung_up: bool,
}

impl Link {
    pub(super) fn new(to_worker: OwnedFd, from_worker: OwnedFd) -> io::Result<Self> {
        Ok(Self {
            to: pipe::Sender::from_owned_fd(to_worker)?,
            from: pipe::Receiver::from_owned_fd(from_worker)?,
            reader: FrameReader::default(),
            phase: Phase::Booting,
            buffer: vec![0; limits::LINK_READ_BYTES].into_boxed_slice(),
            outgoing: Vec::new(),
            sent: 0,
            hung_up: false,
        })
    }

    /// Queues a message; it travels while [`Link::receive`] is awaited.
    ///
    /// What the other end said out of turn, before it could have this message, is a violation.
    pub(super) fn send(&mut self, message: &ToWorker) -> Result<(), LinkError> {
        self.try_receive()?;
        self.phase = self.phase.on_to_worker(message)?;
        self.outgoing = encode(message)?;
        self.sent = 0;
        Ok(())
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
            let sending = self.sent < self.outgoing.len();
            tokio::select! {
                ready = self.from.readable() => {
                    ready?;
                    self.read_some()?;
                }
                ready = self.to.writable(), if sending => {
                    ready?;
                    self.write_some()?;
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
        if self.sent < self.outgoing.len() {
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

    fn write_some(&mut self) -> Result<(), LinkError> {
        match self.to.try_write(&self.outgoing[self.sent..]) {
            Ok(length) => self.sent += length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // It does not listen any more: what it still says, or its end, tells why.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.sent = self.outgoing.len();
            }
            Err(error) => return Err(error.into()),
        }
        if self.sent == self.outgoing.len() {
            self.outgoing = Vec::new();
            self.sent = 0;
        }
        Ok(())
    }
}
