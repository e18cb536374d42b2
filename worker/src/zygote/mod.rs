//! The fork server: one process that holds a whole warm runtime, and forks a worker on request.
//!
//! ```text
//! enter ─▶ a warm Realm ──▶ inherit ─▶ Hello ─▶ ┌ Fork ─▶ fork ─▶ Forked + pidfd  (parent)
//!                                                │           └──▶ Turn::Worker      (child)
//!                                                └ SIGCHLD ─▶ reap ─▶ Exited
//! ```
//!
//! It has one thread, a cleared environment, and reads nothing but requests of the supervisor: no
//! byte of a user, no byte of a worker. A child gets the pipes that came with the request and nothing
//! else of the parent's descriptors, dies with the parent, and goes on as a worker does that was
//! started by itself. The end of the control channel is the end of the fork server.
//!
//! # What children share, and what they do not
//!
//! They are copies of one process, so they share its memory layout, stack canary and the keys of Rust's
//! hash tables (V8's hash seed is the same in every process); that is why a supervisor replaces a fork server after some time and
//! after a suspicious death. Whatever a script can see as random is drawn from getrandom(2) in the
//! child: `Math.random`'s buffer is filled at its first use, `crypto` keeps nothing. The runtime is
//! never run before the fork, so nothing of that is drawn in the parent.

mod control;
mod heap;
pub mod huge_pages;
pub mod inherit;
mod program;
mod smaps;

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use mcp_v8_protocol::PROTOCOL_VERSION;
use mcp_v8_protocol::message::Hello;
use mcp_v8_protocol::mode::Mode;
use mcp_v8_protocol::zygote::{
    Ending, Exited, Fork, Forked, FromZygote, Ledger, Misfit, Refused, ToZygote, Usage,
};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{ForkResult, Pid, getpid, getppid};

use self::control::{Control, Received};
use self::huge_pages::HugePages;
use crate::runtime::{heap_build, v8_version};
use crate::sandbox::{self, INPUT_FD, OUTPUT_FD, Report};
use crate::window::Window;

/// The descriptor of the control channel, as the supervisor gives it.
pub const CONTROL_FD: RawFd = 3;

/// Descriptors that come with a request are moved here or above, out of the way of 0 to 4.
const FIRST_FREE_FD: RawFd = OUTPUT_FD + 1;

/// Why a fork server ended.
#[derive(Debug, thiserror::Error)]
pub enum ZygoteError {
    /// The system refused what it needs.
    #[error("cannot {step}: {source}")]
    System {
        /// What it wanted to do.
        step: &'static str,
        /// What the system said.
        source: Errno,
    },
    /// The supervisor sent what is no message.
    #[error("the supervisor sent {0}")]
    Decode(#[from] mcp_v8_protocol::codec::DecodeError),
    /// The supervisor sent a message that does not fit.
    #[error("the supervisor broke the protocol: {0}")]
    Misfit(#[from] Misfit),
    /// The supervisor sent other descriptors than belong to the message.
    #[error("the supervisor sent {found} descriptors where {wanted} belong")]
    Descriptors {
        /// What came.
        found: usize,
        /// What should have come.
        wanted: usize,
    },
    /// `/proc` does not show this process's memory.
    #[error("cannot read /proc/self/smaps: {0}")]
    Maps(#[from] std::io::Error),
}

type Result<T> = std::result::Result<T, ZygoteError>;

trait Step<T> {
    fn step(self, step: &'static str) -> Result<T>;
}

impl<T> Step<T> for std::result::Result<T, Errno> {
    fn step(self, step: &'static str) -> Result<T> {
        self.map_err(|source| ZygoteError::System { step, source })
    }
}

/// In which process [`Zygote::serve`] returned.
#[derive(Debug)]
pub enum Turn {
    /// In the fork server: the supervisor hung up.
    Over,
    /// In a new worker, which has the supervisor's pipes on descriptors 3 and 4 and no others above,
    /// no parent's signal mask, and dies with the fork server. Where heaps are kept it has a window.
    Worker {
        /// What the supervisor says.
        input: File,
        /// What the supervisor hears.
        output: File,
        /// Where heaps travel.
        window: Option<Window>,
    },
}

/// The fork server.
#[derive(Debug)]
pub struct Zygote {
    mode: Mode,
    control: Control,
    child_ended: SignalFd,
    maps: File,
    ledger: Ledger,
    /// The workers, by process id.
    workers: BTreeMap<i32, u64>,
    huge_pages: HugePages,
}

impl Zygote {
    /// Takes the control channel from descriptor 3. Call it before anything else, on the only thread;
    /// the runtime is made after it.
    ///
    /// # Errors
    /// [`ZygoteError`]; the process must not go on.
    pub fn open(mode: Mode) -> Result<Self> {
        // SAFETY: F_GETFD reads a flag of a number.
        Errno::result(unsafe { libc::fcntl(CONTROL_FD, libc::F_GETFD) })
            .step("find the supervisor's socket on descriptor 3")?;
        let first = u32::try_from(CONTROL_FD + 1).unwrap_or(u32::MAX);
        // SAFETY: closes descriptors that this program has not opened.
        Errno::result(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) })
            .step("close inherited descriptors")?;
        // SAFETY: the descriptor is open, and nothing else in this process uses it.
        let control = Control::new(unsafe { OwnedFd::from_raw_fd(CONTROL_FD) });
        let mut mask = SigSet::empty();
        mask.add(Signal::SIGCHLD);
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&mask), None).step("block SIGCHLD")?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let child_ended = SignalFd::with_flags(&mask, flags).step("watch for SIGCHLD")?;
        Ok(Self {
            mode,
            control,
            child_ended,
            // It stays open: where the jail has taken the file system away, it still can be read.
            maps: File::open("/proc/self/smaps")?,
            ledger: Ledger::default(),
            workers: BTreeMap::new(),
            huge_pages: HugePages::default(),
        })
    }

    /// Says Hello, with what confines this process, and serves until the supervisor hangs up. Returns once in this process, and once in
    /// each worker. Everything that workers are to inherit must be made before, and nothing of it may
    /// run after: what V8 maps later would be missing in workers.
    ///
    /// # Errors
    /// [`ZygoteError`]; the process must not go on.
    pub fn serve(&mut self, jail: &Report) -> Result<Turn> {
        inherit::everything(&self.maps)?;
        self.say(
            &FromZygote::Hello(Hello {
                protocol_version: PROTOCOL_VERSION,
                worker_version: env!("CARGO_PKG_VERSION").to_owned(),
                v8_version: v8_version().to_owned(),
                heap_build: heap_build().to_owned(),
                confinement: jail.confinement(),
            }),
            None,
        )?;
        loop {
            let (is_asked, is_ended) = self.wait()?;
            // First the dead: their numbers and the system's process ids are free again then.
            if is_ended {
                self.reap()?;
            }
            if is_asked {
                match self.control.receive()? {
                    None => return Ok(Turn::Over),
                    Some(received) => {
                        if let Some(turn) = self.obey(received, jail)? {
                            return Ok(turn);
                        }
                    }
                }
            }
        }
    }

    fn wait(&self) -> Result<(bool, bool)> {
        let mut watched = [
            PollFd::new(self.control.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.child_ended.as_fd(), PollFlags::POLLIN),
        ];
        loop {
            match poll(&mut watched, PollTimeout::NONE) {
                Ok(_) => break,
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno).step("wait for the supervisor"),
            }
        }
        let [is_asked, is_ended] = watched.map(|fd| fd.any().unwrap_or(true));
        Ok((is_asked, is_ended))
    }

    fn say(&mut self, message: &FromZygote, fd: Option<BorrowedFd<'_>>) -> Result<()> {
        self.ledger.on_from_zygote(message)?;
        self.control.say(message, fd)
    }

    fn obey(&mut self, received: Received, jail: &Report) -> Result<Option<Turn>> {
        let Received { message, fds } = received;
        self.ledger.on_to_zygote(&message)?;
        let ends = WorkerEnds::of(fds, message.descriptors(self.mode))?;
        let ToZygote::Fork(Fork { worker }) = message;
        let own = getpid();
        // SAFETY: this process has one thread, so that the child may do whatever this one may.
        match unsafe { sandbox::fork_worker(jail) } {
            Ok(ForkResult::Child) => become_worker(own, ends).map(Some),
            Ok(ForkResult::Parent { child }) => {
                drop(ends);
                self.introduce(worker, child)?;
                // SAFETY: as above. Whoever was forked is on its way.
                unsafe { self.huge_pages.forked(&self.maps) };
                Ok(None)
            }
            Err(errno) => {
                self.refuse(worker, errno)?;
                Ok(None)
            }
        }
    }

    fn introduce(&mut self, worker: u64, child: Pid) -> Result<()> {
        match pidfd_open(child) {
            Ok(pidfd) => {
                self.workers.insert(child.as_raw(), worker);
                let forked = FromZygote::Forked(Forked { worker });
                self.say(&forked, Some(pidfd.as_fd()))
            }
            // Nobody could watch it. It is not reaped, so the number is its own.
            Err(errno) => {
                let _gone_already = nix::sys::signal::kill(child, Signal::SIGKILL);
                self.refuse(worker, errno)
            }
        }
    }

    fn refuse(&mut self, worker: u64, errno: Errno) -> Result<()> {
        let errno = errno as i32;
        self.say(&FromZygote::Refused(Refused { worker, errno }), None)
    }

    /// Reaps every child that has ended.
    fn reap(&mut self) -> Result<()> {
        // Signals of one kind do not queue up: one may stand for many children.
        while let Ok(Some(_)) = self.child_ended.read_signal() {}
        while let Some((pid, ending, usage)) = wait_for_any()? {
            if let Some(worker) = self.workers.remove(&pid) {
                let exited = Exited {
                    worker,
                    ending,
                    usage,
                };
                self.say(&FromZygote::Exited(exited), None)?;
            }
        }
        Ok(())
    }
}

/// The descriptors that come with a request.
#[derive(Debug)]
struct WorkerEnds {
    input: OwnedFd,
    output: OwnedFd,
    stderr: OwnedFd,
    window: Option<OwnedFd>,
}

impl WorkerEnds {
    fn of(fds: Vec<OwnedFd>, wanted: usize) -> Result<Self> {
        let found = fds.len();
        let wrong = || ZygoteError::Descriptors { found, wanted };
        if found != wanted {
            return Err(wrong());
        }
        let mut fds = fds.into_iter();
        Ok(Self {
            input: fds.next().ok_or_else(wrong)?,
            output: fds.next().ok_or_else(wrong)?,
            stderr: fds.next().ok_or_else(wrong)?,
            window: fds.next(),
        })
    }
}

/// Turns the copy of the fork server into a worker.
fn become_worker(parent: Pid, ends: WorkerEnds) -> Result<Turn> {
    let WorkerEnds {
        input,
        output,
        stderr,
        window,
    } = ends;
    // The kernel forgets this wish over a fork; and the parent may have died before it was heard.
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).step("ask to die with the fork server")?;
    // (In a process namespace of its own a worker sees no parent; the end of its pipe tells it then.)
    if getppid() != parent && getppid() != Pid::from_raw(0) {
        return Err(Errno::ESRCH).step("find the fork server alive");
    }
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None).step("unblock signals")?;
    let window = window.map(Window::map).transpose();
    let window = window.step("map the heap window")?;
    let places = [
        (stderr, libc::STDERR_FILENO),
        (input, INPUT_FD),
        (output, OUTPUT_FD),
    ];
    let mut moved = Vec::with_capacity(places.len());
    for (fd, place) in places {
        // SAFETY: makes a copy of a descriptor at a free number.
        let copy = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, FIRST_FREE_FD) };
        moved.push((Errno::result(copy).step("move the pipes")?, place));
    }
    for (copy, place) in moved {
        // SAFETY: what is at these numbers is the fork server's, which this process is no more: its
        // owners in this copy are never dropped, for the process ends without destructors.
        Errno::result(unsafe { libc::dup2(copy, place) }).step("put the pipes in place")?;
    }
    let first = u32::try_from(OUTPUT_FD + 1).unwrap_or(u32::MAX);
    // SAFETY: as above.
    Errno::result(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) })
        .step("close the fork server's descriptors")?;
    // SAFETY: both were put in place just now, and have no other owner that will be dropped.
    let (input, output) = unsafe { (File::from_raw_fd(INPUT_FD), File::from_raw_fd(OUTPUT_FD)) };
    Ok(Turn::Worker {
        input,
        output,
        window,
    })
}

fn pidfd_open(pid: Pid) -> std::result::Result<OwnedFd, Errno> {
    // SAFETY: the system call takes two integers and touches no memory of ours.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) })?;
    let fd = RawFd::try_from(fd).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel just gave us this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Reaps one child that has ended, if there is one.
fn wait_for_any() -> Result<Option<(i32, Ending, Usage)>> {
    let mut status = 0;
    // SAFETY: plain old data; all zeroes is a value of it.
    let mut used: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to locals that outlive the call.
    let found = unsafe { libc::wait4(-1, &raw mut status, libc::WNOHANG, &raw mut used) };
    let pid = match Errno::result(found) {
        Ok(0) | Err(Errno::ECHILD) => return Ok(None),
        Ok(pid) => pid,
        Err(errno) => return Err(errno).step("reap a worker"),
    };
    let small = |number: i32| u8::try_from(number).unwrap_or(u8::MAX);
    let ending = if libc::WIFSIGNALED(status) {
        Ending::Signal(small(libc::WTERMSIG(status)))
    } else {
        Ending::Code(small(libc::WEXITSTATUS(status)))
    };
    let usage = Usage {
        user_us: microseconds(used.ru_utime),
        system_us: microseconds(used.ru_stime),
        resident_kib_max: u64::try_from(used.ru_maxrss).unwrap_or(0),
    };
    Ok(Some((pid, ending, usage)))
}

fn microseconds(time: libc::timeval) -> u64 {
    let whole = u64::try_from(time.tv_sec).unwrap_or(0);
    whole * 1_000_000 + u64::try_from(time.tv_usec).unwrap_or(0)
}
