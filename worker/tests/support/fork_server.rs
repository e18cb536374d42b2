//! The real fork server, asked for workers as the supervisor does. Every call waits.

use std::fs::File;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::process::{Child, Command, Stdio};

use mcp_v8_protocol::codec::{decode_payload, encode_payload};
use mcp_v8_protocol::zygote::{Exited, Fork, FromZygote, ToZygote, ZYGOTE_PACKET_BYTES_MAX};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg,
    sendmsg, socketpair,
};

/// A fork server that has said Hello.
pub(crate) struct ForkServer {
    process: Child,
    control: OwnedFd,
    next: u64,
}

/// A worker that was forked; nothing was said yet.
pub(crate) struct Forked {
    /// Its process id.
    pub(crate) pid: u32,
    /// The pipe to it.
    pub(crate) input: File,
    /// The pipe from it.
    pub(crate) output: File,
    /// Its last words.
    pub(crate) stderr: File,
}

impl ForkServer {
    /// A shell puts the control channel into its place.
    pub(crate) fn start() -> Self {
        let flags = SockFlag::SOCK_CLOEXEC;
        let (control, theirs) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags).unwrap();
        let process = Command::new("/bin/sh")
            .args(["-c", "exec \"$0\" zygote 3<&0 </dev/null"])
            .arg(env!("CARGO_BIN_EXE_mcp-v8-worker"))
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self {
            process,
            control,
            next: 0,
        };
        let (hello, _) = server.hear();
        assert!(matches!(hello, FromZygote::Hello(_)), "{hello:?}");
        server
    }

    /// Has a worker forked.
    pub(crate) fn fork(&mut self) -> Forked {
        let (theirs, input) = std::io::pipe().unwrap();
        let (output, their_output) = std::io::pipe().unwrap();
        let (stderr, their_stderr) = std::io::pipe().unwrap();
        let fds = [
            theirs.as_raw_fd(),
            their_output.as_raw_fd(),
            their_stderr.as_raw_fd(),
        ];
        let fork = encode_payload(&ToZygote::Fork(Fork { worker: self.next })).unwrap();
        self.next += 1;
        sendmsg::<()>(
            self.control.as_raw_fd(),
            &[IoSlice::new(&fork)],
            &[ControlMessage::ScmRights(&fds)],
            MsgFlags::MSG_NOSIGNAL,
            None,
        )
        .unwrap();
        let (said, pidfd) = self.hear();
        assert!(matches!(said, FromZygote::Forked(_)), "{said:?}");
        let pidfd = pidfd.unwrap();
        let info = format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd());
        let info = std::fs::read_to_string(info).unwrap();
        let pid = info.lines().find_map(|line| line.strip_prefix("Pid:"));
        Forked {
            pid: pid.unwrap().trim().parse().unwrap(),
            input: OwnedFd::from(input).into(),
            output: OwnedFd::from(output).into(),
            stderr: OwnedFd::from(stderr).into(),
        }
    }

    /// Whether it has something to say: that a worker has ended.
    pub(crate) fn has_news(&self) -> bool {
        let mut watched = [PollFd::new(self.control.as_fd(), PollFlags::POLLIN)];
        poll(&mut watched, PollTimeout::ZERO).unwrap() > 0
    }

    /// Waits for the end of a worker. One lives at a time.
    pub(crate) fn exited(&self) -> Exited {
        match self.hear().0 {
            FromZygote::Exited(exited) => exited,
            other => panic!("{other:?}"),
        }
    }

    fn hear(&self) -> (FromZygote, Option<OwnedFd>) {
        let mut packet = [0; ZYGOTE_PACKET_BYTES_MAX];
        let mut ancillary = nix::cmsg_space!([RawFd; 1]);
        let mut pieces = [IoSliceMut::new(&mut packet)];
        let got = recvmsg::<()>(
            self.control.as_raw_fd(),
            &mut pieces,
            Some(&mut ancillary),
            MsgFlags::MSG_CMSG_CLOEXEC,
        )
        .unwrap();
        let fd = got.cmsgs().unwrap().find_map(|message| match message {
            ControlMessageOwned::ScmRights(fds) => fds.first().copied(),
            _ => None,
        });
        // SAFETY: the kernel just gave us this descriptor, and nobody else knows it.
        let fd = fd.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
        let length = got.bytes;
        assert_ne!(length, 0, "it hung up");
        (decode_payload(&packet[..length]).unwrap(), fd)
    }
}

impl Drop for ForkServer {
    /// Its workers die with it.
    fn drop(&mut self) {
        let _already_gone = self.process.kill();
        let _reaped = self.process.wait();
    }
}
