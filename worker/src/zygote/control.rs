//! The control channel: one packet, one message, and the descriptors that belong to it.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use mcp_v8_protocol::codec::{DecodeError, decode_payload, encode_payload};
use mcp_v8_protocol::zygote::{FromZygote, ToZygote, ZYGOTE_PACKET_BYTES_MAX};
use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};

use super::{Result, Step, ZygoteError};

/// The most descriptors that the kernel passes with one packet: with room for all, none is lost.
const SCM_MAX_FD: usize = 253;

/// The socket to the supervisor.
#[derive(Debug)]
pub(super) struct Control {
    socket: OwnedFd,
    /// Room for a packet, and one byte by which a longer one is seen.
    packet: Box<[u8]>,
    ancillary: Vec<u8>,
}

/// What came in one packet.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) message: ToZygote,
    pub(super) fds: Vec<OwnedFd>,
}

impl Control {
    pub(super) fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            packet: vec![0; ZYGOTE_PACKET_BYTES_MAX + 1].into_boxed_slice(),
            ancillary: nix::cmsg_space!([RawFd; SCM_MAX_FD]),
        }
    }

    /// The next packet; `None` when the supervisor has hung up.
    pub(super) fn receive(&mut self) -> Result<Option<Received>> {
        let socket = self.socket.as_raw_fd();
        let mut pieces = [IoSliceMut::new(&mut self.packet)];
        let (length, fds) = loop {
            let flags = MsgFlags::MSG_CMSG_CLOEXEC;
            match recvmsg::<()>(socket, &mut pieces, Some(&mut self.ancillary), flags) {
                Ok(got) => {
                    break (
                        got.bytes,
                        descriptors(got.cmsgs().step("read descriptors")?),
                    );
                }
                Err(Errno::EINTR) => {}
                // The supervisor was killed while packets were under way.
                Err(Errno::ECONNRESET) => return Ok(None),
                Err(errno) => return Err(errno).step("hear the supervisor"),
            }
        };
        if length == 0 {
            return Ok(None);
        }
        let message = decode_payload(&self.packet[..length])?;
        Ok(Some(Received { message, fds }))
    }

    /// Sends a packet. Waits while the supervisor does not listen.
    pub(super) fn say(&self, message: &FromZygote, fd: Option<BorrowedFd<'_>>) -> Result<()> {
        let found = usize::from(fd.is_some());
        if found != message.descriptors() {
            return Err(ZygoteError::Descriptors {
                found,
                wanted: message.descriptors(),
            });
        }
        let payload = encode_payload(message)?;
        if payload.is_empty() {
            return Err(DecodeError::Malformed { bytes: 0 }.into());
        }
        let fds: Vec<RawFd> = fd.iter().map(AsRawFd::as_raw_fd).collect();
        let rights = [ControlMessage::ScmRights(&fds)];
        let ancillary = if fds.is_empty() {
            &rights[..0]
        } else {
            &rights
        };
        let pieces = [IoSlice::new(&payload)];
        loop {
            let flags = MsgFlags::MSG_NOSIGNAL;
            match sendmsg::<()>(self.socket.as_raw_fd(), &pieces, ancillary, flags, None) {
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno).step("tell the supervisor"),
            }
        }
    }
}

impl AsFd for Control {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
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
