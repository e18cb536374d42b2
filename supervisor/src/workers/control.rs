//! The control channel to a fork server: one packet, one message, and the descriptors that belong to
//! it. Nothing here blocks.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use mcp_v8_protocol::codec::{DecodeError, decode_payload, encode_payload};
use mcp_v8_protocol::zygote::{FromZygote, Ledger, Misfit, ToZygote, ZYGOTE_PACKET_BYTES_MAX};
use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use tokio::io::unix::AsyncFd;

/// The most descriptors that the kernel passes with one packet: with room for all, none is lost.
const SCM_MAX_FD: usize = 253;

/// How a fork server broke the conversation.
#[derive(Debug, thiserror::Error)]
pub(super) enum ControlError {
    /// Its bytes are no message.
    #[error("it sent bytes that are no message ({0})")]
    Decode(#[from] DecodeError),
    /// Its message does not fit.
    #[error("it broke the protocol ({0})")]
    Misfit(#[from] Misfit),
    /// Other descriptors came than belong to the message.
    #[error("it sent {found} descriptors with a message that has {wanted}")]
    Descriptors {
        /// What came.
        found: usize,
        /// What should have come.
        wanted: usize,
    },
    /// The socket failed.
    #[error("its socket failed ({0})")]
    Io(#[from] io::Error),
}

/// A message, and its descriptors.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) message: FromZygote,
    /// As many as belong to it; none where this process had no room for one.
    pub(super) fds: Vec<OwnedFd>,
}

/// What came with a packet.
#[derive(Debug)]
enum Attached {
    Descriptors(Vec<OwnedFd>),
    /// Descriptors that the kernel could not give us, since we have as many as we may.
    Lost,
}

/// Our end of the channel.
#[derive(Debug)]
pub(super) struct Control {
    socket: AsyncFd<OwnedFd>,
    ledger: Ledger,
    /// Room for a packet, and one byte by which a longer one is seen.
    packet: Box<[u8]>,
    ancillary: Vec<u8>,
}

impl Control {
    /// `socket` does not block.
    pub(super) fn new(socket: OwnedFd) -> io::Result<Self> {
        // SAFETY: an `OwnedFd` keeps its descriptor open and unchanged until it is dropped, which is
        // after its registration.
        let socket = unsafe { AsyncFd::register(socket) }?;
        Ok(Self {
            socket,
            ledger: Ledger::default(),
            packet: vec![0; ZYGOTE_PACKET_BYTES_MAX + 1].into_boxed_slice(),
            ancillary: nix::cmsg_space!([RawFd; SCM_MAX_FD]),
        })
    }

    /// What was said so far.
    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The next message; `None` when the fork server has hung up. Nothing is lost when the future is
    /// dropped.
    pub(super) async fn receive(&mut self) -> Result<Option<Heard>, ControlError> {
        loop {
            let mut guard = self.socket.readable().await?;
            let (packet, ancillary) = (&mut self.packet, &mut self.ancillary);
            let read = guard.try_io(|socket| read(socket.as_raw_fd(), packet, ancillary));
            match read {
                Ok(read) => return self.enter(read?),
                Err(_would_block) => {}
            }
        }
    }

    /// The next message that has already come. Does not wait.
    pub(super) fn try_receive(&mut self) -> Result<Option<Heard>, ControlError> {
        let socket = self.socket.as_raw_fd();
        match read(socket, &mut self.packet, &mut self.ancillary) {
            Ok(read) => self.enter(read),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn enter(&mut self, (length, attached): Read) -> Result<Option<Heard>, ControlError> {
        if length == 0 {
            return Ok(None);
        }
        let message: FromZygote = decode_payload(&self.packet[..length])?;
        self.ledger.on_from_zygote(&message)?;
        let wanted = message.descriptors();
        let fds = match attached {
            Attached::Descriptors(fds) if fds.len() == wanted => fds,
            Attached::Descriptors(fds) => {
                let found = fds.len();
                return Err(ControlError::Descriptors { found, wanted });
            }
            // Our shortage, not its fault.
            Attached::Lost => Vec::new(),
        };
        Ok(Some(Heard { message, fds }))
    }

    /// Sends a message. What may be asked for at once is bounded, and fits the socket's buffer: where
    /// it does not, the fork server has not listened for long.
    pub(super) fn say(&mut self, message: &ToZygote, fds: &[RawFd]) -> Result<(), ControlError> {
        self.ledger.on_to_zygote(message)?;
        let payload = encode_payload(message)?;
        let pieces = [IoSlice::new(&payload)];
        let rights = [ControlMessage::ScmRights(fds)];
        loop {
            let socket = self.socket.as_raw_fd();
            match sendmsg::<()>(socket, &pieces, &rights, MsgFlags::MSG_NOSIGNAL, None) {
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(io::Error::from(errno).into()),
            }
        }
    }
}

/// A packet's length and descriptors.
type Read = (usize, Attached);

fn read(socket: RawFd, packet: &mut [u8], ancillary: &mut [u8]) -> io::Result<Read> {
    let mut pieces = [IoSliceMut::new(packet)];
    loop {
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        match recvmsg::<()>(socket, &mut pieces, Some(ancillary), flags) {
            Ok(got) if got.flags.contains(MsgFlags::MSG_CTRUNC) => {
                return Ok((got.bytes, Attached::Lost));
            }
            Ok(got) => {
                let fds = descriptors(got.cmsgs()?);
                return Ok((got.bytes, Attached::Descriptors(fds)));
            }
            Err(Errno::EINTR) => {}
            // It was killed while packets were under way.
            Err(Errno::ECONNRESET) => return Ok((0, Attached::Descriptors(Vec::new()))),
            Err(errno) => return Err(errno.into()),
        }
    }
}

fn descriptors(messages: impl Iterator<Item = ControlMessageOwned>) -> Vec<OwnedFd> {
    messages
        .filter_map(|message| match message {
            ControlMessageOwned::ScmRights(fds) => Some(fds),
            _ => None,
        })
        .flatten()
        // SAFETY: the kernel just gave us these descriptors, and nobody else knows them.
        .map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })
        .collect()
}
