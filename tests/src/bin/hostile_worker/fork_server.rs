//! The steps of a fork server.
//!
//! | step | what it does |
//! |---|---|
//! | `hello`, `hello_of_protocol=`, `hello_of_version=` | says Hello, right or wrong |
//! | `serve`, `serve=N` | makes a worker for each request; for N of them, then goes on |
//! | `workers=a+b` | workers from here on perform these steps, not those of the file |
//! | `take` | takes a request and does not answer |
//! | `answer` | answers it as it should |
//! | `forked=X` | answers it, with X for the worker: see [`ForkServer::stand_in`] |
//! | `forked_other` | says that a worker was made for which nobody asked |
//! | `refuse` | refuses every request |
//! | `bury` | waits for the end of a worker, and tells it |
//! | `exited=N` | tells the end of worker N |
//! | `packet=garbage` | sends a packet that is no message: see [`bad_packet`] |
//! | `flood` | says Hello without end |
//! | `close`, `mark=`, `await=`, `sleep`, `signal=`, `exit=` | as a worker does |

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::thread;

use mcp_v8_protocol::PROTOCOL_VERSION;
use mcp_v8_protocol::codec::{decode_payload, encode_payload};
use mcp_v8_protocol::message::Hello;
use mcp_v8_protocol::zygote::{
    Ending, Exited, Fork, Forked, FromZygote, Refused, ToZygote, Usage, ZYGOTE_PACKET_BYTES_MAX,
};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getpid, getppid};

use crate::messages::{VERSION, hello_of};
use crate::{UNKNOWN_STEP, await_leave, leave_mark, raise};

/// The control channel, as the supervisor gives it.
const CONTROL_FD: RawFd = 3;
/// Descriptors of a request are moved here or above, out of the way of 0 to 4.
const FIRST_FREE_FD: RawFd = 20;
/// A worker for which nobody has asked yet.
const UNASKED: u64 = 1000;

/// In which process [`ForkServer::perform`] returned.
pub(crate) enum Turn {
    /// The fork server: its exit code.
    Over(u8),
    /// A worker, with its pipes in place, and steps that are not those of its file.
    Worker { steps: Option<String> },
}

pub(crate) struct ForkServer {
    control: OwnedFd,
    child_ended: SignalFd,
    workers: Vec<(Pid, u64)>,
    /// The request that was taken last.
    taken: Option<Request>,
    /// What workers do, when it is not in their file.
    worker_steps: Option<String>,
}

/// Where a worker finds its heap window.
const WINDOW_FD: RawFd = 5;

/// Descriptors that come with a request, at most.
const DESCRIPTORS_MAX: usize = 4;

struct Request {
    worker: u64,
    fds: Vec<OwnedFd>,
}

impl ForkServer {
    /// The one whose control channel is on descriptor 3.
    pub(crate) fn in_place() -> io::Result<Self> {
        let mut mask = SigSet::empty();
        mask.add(Signal::SIGCHLD);
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&mask), None)?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        Ok(Self {
            // SAFETY: the supervisor gives it; nothing else in this process uses it.
            control: unsafe { OwnedFd::from_raw_fd(CONTROL_FD) },
            child_ended: SignalFd::with_flags(&mask, flags)?,
            workers: Vec::new(),
            taken: None,
            worker_steps: None,
        })
    }

    /// Performs all steps.
    pub(crate) fn perform(&mut self, steps: &str) -> io::Result<Turn> {
        for step in steps.split_whitespace() {
            let (name, argument) = step.split_once('=').unwrap_or((step, ""));
            if let Some(turn) = self.step(name, argument)? {
                return Ok(turn);
            }
        }
        Ok(Turn::Over(0))
    }

    fn step(&mut self, name: &str, argument: &str) -> io::Result<Option<Turn>> {
        match name {
            "hello" => self.say_hello(PROTOCOL_VERSION, VERSION)?,
            "hello_of_protocol" => {
                self.say_hello(argument.parse().unwrap_or(u32::MAX), VERSION)?;
            }
            "hello_of_version" => self.say_hello(PROTOCOL_VERSION, argument)?,
            "workers" => self.worker_steps = Some(argument.replace('+', " ")),
            "serve" => return self.serve(argument.parse().unwrap_or(u64::MAX)),
            "take" => self.taken = Some(self.hear()?),
            "answer" => {
                let request = self.taken.take().ok_or(io::ErrorKind::InvalidInput)?;
                return self.make_worker(request);
            }
            "forked" => self.answer_with(argument)?,
            "forked_other" => self.say(&forked(UNASKED), &[])?,
            "refuse" => self.refuse_all()?,
            "bury" => while self.report_the_dead()? == 0 {},
            "exited" => {
                let worker = argument.parse().unwrap_or(UNASKED);
                self.say(&exited(worker, Ending::Code(0)), &[])?;
            }
            "packet" => self.send(&bad_packet(argument)?, &[])?,
            "flood" => loop {
                self.say_hello(PROTOCOL_VERSION, VERSION)?;
            },
            "close" => self.control = std::fs::File::open("/dev/null")?.into(),
            "mark" => leave_mark(argument)?,
            "await" => await_leave(argument),
            "sleep" => loop {
                thread::park();
            },
            "signal" => raise(argument)?,
            "exit" => return Ok(Some(Turn::Over(argument.parse().unwrap_or(UNKNOWN_STEP)))),
            _ => return Ok(Some(Turn::Over(UNKNOWN_STEP))),
        }
        Ok(None)
    }

    fn serve(&mut self, count: u64) -> io::Result<Option<Turn>> {
        for _ in 0..count {
            let request = self.hear()?;
            if let Some(turn) = self.make_worker(request)? {
                return Ok(Some(turn));
            }
        }
        Ok(None)
    }

    fn make_worker(&mut self, request: Request) -> io::Result<Option<Turn>> {
        // SAFETY: this process has one thread.
        match unsafe { fork() }? {
            ForkResult::Child => {
                become_worker(request.fds)?;
                let steps = self.worker_steps.take();
                Ok(Some(Turn::Worker { steps }))
            }
            ForkResult::Parent { child } => {
                self.workers.push((child, request.worker));
                let pidfd = pidfd_of(child)?;
                self.say(&forked(request.worker), &[pidfd.as_raw_fd()])?;
                Ok(None)
            }
        }
    }

    /// Answers the request that was taken with other descriptors than that of a worker.
    fn answer_with(&mut self, stand_in: &str) -> io::Result<()> {
        let Some(request) = self.taken.take() else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let fds = self.stand_in(stand_in)?;
        let numbers: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
        self.say(&forked(request.worker), &numbers)
    }

    /// Descriptors in the place of a worker's: none, two, a pipe, the null device, its own channel,
    /// the pidfd of itself, of its parent, or of the process of this number.
    fn stand_in(&self, name: &str) -> io::Result<Vec<OwnedFd>> {
        Ok(match name {
            "nothing" => Vec::new(),
            "two" => vec![pidfd_of(getpid())?, pidfd_of(getpid())?],
            "many" => (0..200)
                .map(|_| self.control.try_clone())
                .collect::<io::Result<_>>()?,
            "pipe" => vec![io::pipe()?.0.into()],
            "null" => vec![std::fs::File::open("/dev/null")?.into()],
            "control" => vec![self.control.try_clone()?],
            "itself" => vec![pidfd_of(getpid())?],
            "parent" => vec![pidfd_of(getppid())?],
            number => {
                let number = number.parse().map_err(io::Error::other)?;
                vec![pidfd_of(Pid::from_raw(number))?]
            }
        })
    }

    fn refuse_all(&mut self) -> io::Result<()> {
        loop {
            let worker = self.hear()?.worker;
            let errno = libc::EAGAIN;
            self.say(&FromZygote::Refused(Refused { worker, errno }), &[])?;
        }
    }

    /// The next request. Ends of workers are told meanwhile.
    fn hear(&mut self) -> io::Result<Request> {
        loop {
            let mut watched = [
                PollFd::new(self.control.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.child_ended.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut watched, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
            let is_asked = watched[0].any().unwrap_or(true);
            self.report_the_dead()?;
            if is_asked {
                return self.receive();
            }
        }
    }

    fn receive(&self) -> io::Result<Request> {
        let mut packet = [0; ZYGOTE_PACKET_BYTES_MAX];
        let mut ancillary = nix::cmsg_space!([RawFd; DESCRIPTORS_MAX]);
        let mut pieces = [IoSliceMut::new(&mut packet)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let control = self.control.as_raw_fd();
        let got = recvmsg::<()>(control, &mut pieces, Some(&mut ancillary), flags)?;
        let mut fds = Vec::new();
        for message in got.cmsgs()? {
            if let ControlMessageOwned::ScmRights(numbers) = message {
                for number in numbers {
                    // SAFETY: the kernel just gave us this descriptor, and nobody else knows it.
                    let low = unsafe { OwnedFd::from_raw_fd(number) };
                    fds.push(aside(&low)?);
                }
            }
        }
        if got.bytes == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let length = got.bytes;
        let ToZygote::Fork(Fork { worker }) =
            decode_payload(&packet[..length]).map_err(io::Error::other)?;
        Ok(Request { worker, fds })
    }

    /// Tells the ends of workers; how many.
    fn report_the_dead(&mut self) -> io::Result<usize> {
        while let Ok(Some(_)) = self.child_ended.read_signal() {}
        let mut told = 0;
        loop {
            let (pid, ending) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) => (pid, Ending::Code(small(code))),
                Ok(WaitStatus::Signaled(pid, signal, _)) => {
                    (pid, Ending::Signal(small(signal as i32)))
                }
                Ok(_) | Err(_) => return Ok(told),
            };
            if let Some(at) = self.workers.iter().position(|(known, _)| *known == pid) {
                let (_, worker) = self.workers.swap_remove(at);
                self.say(&exited(worker, ending), &[])?;
                told += 1;
            }
        }
    }

    fn say_hello(&self, protocol_version: u32, version: &str) -> io::Result<()> {
        let hello: Hello = hello_of(protocol_version, version);
        self.say(&FromZygote::Hello(hello), &[])
    }

    fn say(&self, message: &FromZygote, fds: &[RawFd]) -> io::Result<()> {
        self.send(&encode_payload(message).map_err(io::Error::other)?, fds)
    }

    fn send(&self, packet: &[u8], fds: &[RawFd]) -> io::Result<()> {
        let rights = [ControlMessage::ScmRights(fds)];
        let ancillary = if fds.is_empty() {
            &rights[..0]
        } else {
            &rights
        };
        let flags = MsgFlags::MSG_NOSIGNAL;
        let control = self.control.as_raw_fd();
        sendmsg::<()>(control, &[IoSlice::new(packet)], ancillary, flags, None)?;
        Ok(())
    }
}

/// Packets that are no message, by name.
fn bad_packet(name: &str) -> io::Result<Vec<u8>> {
    let good = encode_payload(&exited(0, Ending::Code(0))).map_err(io::Error::other)?;
    Ok(match name {
        "garbage" => vec![0xa5; 64],
        "oversize" => vec![0; ZYGOTE_PACKET_BYTES_MAX + 1],
        "huge" => vec![0; 64 << 10],
        "torn" => good[..good.len() - 1].to_vec(),
        "trailing" => [&good[..], &[0]].concat(),
        // The kernel delivers it, and it looks like the end of the channel.
        "empty" => Vec::new(),
        _ => return Err(io::ErrorKind::InvalidInput.into()),
    })
}

fn forked(worker: u64) -> FromZygote {
    FromZygote::Forked(Forked { worker })
}

fn exited(worker: u64, ending: Ending) -> FromZygote {
    FromZygote::Exited(Exited {
        worker,
        ending,
        usage: Usage::default(),
    })
}

fn small(number: i32) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}

/// Puts the pipes of a worker into their places, and closes all else.
fn become_worker(fds: Vec<OwnedFd>) -> io::Result<()> {
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
    for (fd, place) in fds.iter().zip([3, 4, libc::STDERR_FILENO, WINDOW_FD]) {
        // SAFETY: what is at these numbers is the fork server's, and not used in this copy.
        Errno::result(unsafe { libc::dup2(fd.as_raw_fd(), place) })?;
    }
    // With a window, that is the last of them.
    let first_free = if fds.len() == DESCRIPTORS_MAX {
        WINDOW_FD + 1
    } else {
        WINDOW_FD
    };
    drop(fds);
    // SAFETY: as above; the owners of those in this copy are never dropped.
    Errno::result(unsafe {
        libc::syscall(libc::SYS_close_range, first_free, libc::c_int::MAX, 0)
    })?;
    Ok(())
}

/// A copy that is in nobody's way.
fn aside(fd: &OwnedFd) -> io::Result<OwnedFd> {
    // SAFETY: makes a copy of a descriptor at a free number.
    let copy = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, FIRST_FREE_FD) };
    // SAFETY: the kernel just gave us this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(Errno::result(copy)?) })
}

fn pidfd_of(pid: Pid) -> io::Result<OwnedFd> {
    // SAFETY: the system call takes two integers and touches no memory of ours.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) })?;
    let fd = RawFd::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: the kernel just gave us this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
