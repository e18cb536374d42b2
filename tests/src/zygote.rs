//! The real fork server, asked for workers as the supervisor does. Every call waits.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use mcp_v8_protocol::codec::{DecodeError, decode_payload, encode_payload};
use mcp_v8_protocol::zygote::{Exited, Fork, FromZygote, ToZygote, ZYGOTE_PACKET_BYTES_MAX};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg,
    sendmsg, socketpair,
};

use crate::worker::above_standard;

/// Where a fork server has its control channel.
const CONTROL_FD: RawFd = 3;

/// Why it was of no use.
#[derive(Debug, thiserror::Error)]
pub enum ZygoteError {
    /// The system refused something.
    #[error("cannot talk to the fork server: {0}")]
    Io(#[from] io::Error),
    /// Bytes that are no message.
    #[error("the fork server sent {0}")]
    Decode(#[from] DecodeError),
    /// Another message than the one whose turn it is.
    #[error("the fork server said {0}")]
    Unexpected(&'static str),
    /// It has ended.
    #[error("the fork server hung up")]
    Gone,
}

impl From<Errno> for ZygoteError {
    fn from(errno: Errno) -> Self {
        Self::Io(errno.into())
    }
}

/// A fork server that has said Hello.
#[derive(Debug)]
pub struct Zygote {
    /// Its process.
    pub child: Child,
    control: OwnedFd,
    next: u64,
}

/// A worker that was forked; nothing was said yet.
#[derive(Debug)]
pub struct Forked {
    /// The pipe to it.
    pub to_worker: File,
    /// The pipe from it.
    pub from_worker: File,
    /// Its last words.
    pub stderr: File,
    /// Its process.
    pub pidfd: OwnedFd,
}

impl Zygote {
    /// Starts one, with arguments behind the subcommand, and hears its Hello.
    ///
    /// # Errors
    /// [`ZygoteError`] when it does not serve.
    pub fn start(program: &Path, arguments: &[&str]) -> Result<Self, ZygoteError> {
        let (control, theirs) = socketpair(
            AddressFamily::Unix,
            SockType::SeqPacket,
            None,
            SockFlag::SOCK_CLOEXEC,
        )?;
        let theirs = above_standard(theirs)?;
        let mut command = Command::new(program);
        command
            .arg("zygote")
            .args(arguments)
            .env_clear()
            .envs([("TZ", "UTC"), ("LC_ALL", "C")])
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        // SAFETY: the closure calls nothing but dup2, which POSIX allows between fork and exec.
        unsafe {
            command.pre_exec(move || {
                Errno::result(libc::dup2(theirs.as_raw_fd(), CONTROL_FD))?;
                Ok(())
            });
        }
        let child = command.spawn()?;
        // Dropping the command closes this process's copy of its end.
        drop(command);
        let mut zygote = Self {
            child,
            control,
            next: 0,
        };
        match zygote.hear()? {
            (FromZygote::Hello(_), _) => Ok(zygote),
            (other, _) => Err(ZygoteError::Unexpected(other.name())),
        }
    }

    /// Has a worker forked.
    ///
    /// # Errors
    /// [`ZygoteError`] when there is none.
    pub fn fork(&mut self) -> Result<Forked, ZygoteError> {
        let (input, to_worker) = io::pipe()?;
        let (from_worker, output) = io::pipe()?;
        let (stderr, stderr_write) = io::pipe()?;
        let message = ToZygote::Fork(Fork { worker: self.next });
        self.next += 1;
        let fds = [
            input.as_raw_fd(),
            output.as_raw_fd(),
            stderr_write.as_raw_fd(),
        ];
        let payload = encode_payload(&message)?;
        sendmsg::<()>(
            self.control.as_raw_fd(),
            &[IoSlice::new(&payload)],
            &[ControlMessage::ScmRights(&fds)],
            MsgFlags::MSG_NOSIGNAL,
            None,
        )?;
        drop((input, output, stderr_write));
        match self.hear()? {
            (FromZygote::Forked(_), Some(pidfd)) => Ok(Forked {
                to_worker: OwnedFd::from(to_worker).into(),
                from_worker: OwnedFd::from(from_worker).into(),
                stderr: OwnedFd::from(stderr).into(),
                pidfd,
            }),
            (other, _) => Err(ZygoteError::Unexpected(other.name())),
        }
    }

    /// Waits for the end of a worker. One lives at a time.
    ///
    /// # Errors
    /// [`ZygoteError`] when the fork server says something else.
    pub fn exited(&mut self) -> Result<Exited, ZygoteError> {
        match self.hear()? {
            (FromZygote::Exited(exited), _) => Ok(exited),
            (other, _) => Err(ZygoteError::Unexpected(other.name())),
        }
    }

    fn hear(&mut self) -> Result<(FromZygote, Option<OwnedFd>), ZygoteError> {
        let mut packet = [0; ZYGOTE_PACKET_BYTES_MAX];
        let mut ancillary = nix::cmsg_space!([RawFd; 1]);
        let mut pieces = [IoSliceMut::new(&mut packet)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let got = recvmsg::<()>(
            self.control.as_raw_fd(),
            &mut pieces,
            Some(&mut ancillary),
            flags,
        )?;
        let fd = got.cmsgs()?.find_map(|message| match message {
            ControlMessageOwned::ScmRights(fds) => fds.first().copied(),
            _ => None,
        });
        // SAFETY: the kernel just gave us this descriptor, and nobody else knows it.
        let fd = fd.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
        let length = got.bytes;
        if length == 0 {
            return Err(ZygoteError::Gone);
        }
        Ok((decode_payload(&packet[..length])?, fd))
    }
}

impl Drop for Zygote {
    /// It ends with its control channel; its process is reaped.
    fn drop(&mut self) {
        let _already_gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}
