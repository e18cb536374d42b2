//! The conversation with one worker: frames over two pipes, neither of which may block.
//!
//! Both directions go on at once while a script runs: what the worker says is heard while replies to it are
//! on their way, and a worker that does not read its pipe holds up nobody but itself.

use std::cell::RefCell;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;

use mcp_v8_protocol::codec::{DecodeError, FrameReader, encode};
use mcp_v8_protocol::fetch::FetchReply;
use mcp_v8_protocol::message::{FromWorker, ToWorker};
use mcp_v8_protocol::phase::{Phase, Violation};
use tokio::net::unix::pipe;
use tokio::task::coop;

use super::letter::Letter;
use crate::fetch::Breach;
use crate::limits::{self, FETCH_CALLS_MAX, FRAMES_MAX};

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
    /// It spoke of requests more often than an execution may.
    #[error(
        "it sent more than {FETCH_CALLS_MAX} messages about requests, which is all that one execution \
         may send"
    )]
    TooManyCalls,
    /// It said of its requests what it must not say.
    #[error("it broke the protocol ({0})")]
    Breach(#[from] Breach),
    /// It closed its pipe in the middle of a message.
    #[error("it closed its pipe in the middle of a message")]
    Torn,
    /// The pipe failed.
    #[error("its pipe failed ({0})")]
    Io(#[from] io::Error),
}

/// Whether somebody has room for a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ear {
    /// Messages are heard.
    Open,
    /// They wait in the pipe. What is said to the worker travels all the same.
    Shut,
}

/// What happens to a link.
#[derive(Debug)]
pub(super) enum Heard {
    /// A message has come.
    Message(FromWorker),
    /// There is room for a reply, and there was none.
    Room,
    /// The worker has closed its end.
    End,
}

thread_local! {
    /// Where a pipe is read to. What was read goes on before anything else is read, so that one for each
    /// thread is enough, however many links there are.
    static BUFFER: RefCell<Box<[u8]>> =
        RefCell::new(vec![0; limits::LINK_READ_BYTES].into_boxed_slice());
}

/// The supervisor's end of the two pipes.
#[derive(Debug)]
pub(super) struct Link {
    from: pipe::Receiver,
    reader: FrameReader<FromWorker>,
    phase: Phase,
    /// Messages that it may still send.
    frames_left: u64,
    /// Those of them that may be about requests.
    calls_left: u64,
    hung_up: bool,
    letter: Letter,
}

impl Link {
    pub(super) fn new(to_worker: OwnedFd, from_worker: OwnedFd) -> io::Result<Self> {
        Ok(Self {
            from: pipe::Receiver::from_owned_fd(from_worker)?,
            reader: FrameReader::default(),
            phase: Phase::Booting,
            frames_left: FRAMES_MAX,
            calls_left: FETCH_CALLS_MAX,
            hung_up: false,
            letter: Letter::new(pipe::Sender::from_owned_fd(to_worker)?),
        })
    }

    /// Queues a message; it travels while [`Link::hear`] is awaited.
    ///
    /// What the other end said out of turn, before it could have this message, is a violation.
    pub(super) fn send(&mut self, message: &ToWorker) -> Result<(), LinkError> {
        self.try_receive()?;
        self.phase = self.phase.on_to_worker(message)?;
        self.letter.put(encode(message)?);
        Ok(())
    }

    /// Whether one more reply may be queued: while there are few bytes, and somebody listens.
    pub(super) fn has_room(&self) -> bool {
        self.letter.has_room()
    }

    /// Queues a reply; it travels while [`Link::hear`] is awaited.
    pub(super) fn reply(&mut self, reply: FetchReply) -> Result<(), LinkError> {
        let message = ToWorker::Fetch(reply);
        self.phase = self.phase.on_to_worker(&message)?;
        self.letter.reply(encode(&message)?);
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
            match self.hear(Ear::Open).await? {
                Heard::Message(message) => return Ok(Some(message)),
                Heard::Room => {}
                Heard::End => return Ok(None),
            }
        }
    }

    /// Waits for what happens next, and lets travel meanwhile what was said. Nothing is lost when the
    /// future is dropped.
    ///
    /// Messages that are here already count against the time of the task: however fast they come,
    /// others get their turn, and clocks are looked at.
    pub(super) async fn hear(&mut self, ear: Ear) -> Result<Heard, LinkError> {
        let had_room = self.has_room();
        loop {
            coop::consume_budget().await;
            if ear == Ear::Open {
                if let Some(message) = self.take_message()? {
                    return Ok(Heard::Message(message));
                }
                if self.hung_up {
                    self.end()?;
                    return Ok(Heard::End);
                }
            }
            tokio::select! {
                ready = self.from.readable(), if ear == Ear::Open => {
                    ready?;
                    self.read_some()?;
                }
                ready = self.letter.writable() => {
                    ready?;
                    self.letter.write_some()?;
                    if !had_room && self.has_room() {
                        return Ok(Heard::Room);
                    }
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
            match self.read_with(|from, buffer| Ok(nix::unistd::read(from, buffer)?)) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return self.end(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
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
        if let FromWorker::Fetch(_) = message {
            let left = self.calls_left.checked_sub(1);
            self.calls_left = left.ok_or(LinkError::TooManyCalls)?;
        }
        Ok(Some(message))
    }

    fn read_some(&mut self) -> Result<(), LinkError> {
        match self.read_with(pipe::Receiver::try_read) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads what is there, and notes the end of the stream.
    fn read_with(
        &mut self,
        read: impl FnOnce(&pipe::Receiver, &mut [u8]) -> io::Result<usize>,
    ) -> io::Result<()> {
        BUFFER.with_borrow_mut(|buffer| {
            match read(&self.from, buffer)? {
                0 => self.hung_up = true,
                length => self.reader.push(&buffer[..length]),
            }
            Ok(())
        })
    }
}

#[cfg(test)]
#[path = "link_tests.rs"]
mod tests;
