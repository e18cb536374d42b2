//! One child process, owned: seen, killed and reaped through its pidfd.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::Pid;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::cgroup::{Applicant, Groups, Membership};
use super::exit::{Abort, Exit, ExitStatus, printable_tail};
use super::kin;
use super::proc;
use super::shop::Reaper;
use super::strangers::Register;
use super::usage::{self, Used};
use crate::limits;

/// A process that is not reaped yet. Dropping it kills it and has it reaped, so that it leaves
/// neither a process nor a zombie.
#[derive(Debug)]
pub(super) struct Child {
    pid: Pid,
    pidfd: OwnedFd,
    parent: Parent,
}

/// Who reaps it.
#[derive(Debug)]
enum Parent {
    /// This process.
    Us { reaped: bool, reaper: Reaper },
    /// A fork server, which then tells.
    Zygote(Told),
}

/// Where a fork server's word on the end of a worker arrives.
#[derive(Debug)]
pub(super) struct Told {
    /// The word. Nothing will come when the other end is dropped.
    pub(super) exit: oneshot::Receiver<Waited>,
    /// Whom to tell that it does not come, and what the fork server cannot see.
    pub(super) complaints: mpsc::Sender<Complaint>,
}

/// What somebody who has waited for the end of a worker has to say of its fork server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Complaint {
    /// It does not tell of the end.
    Silence,
    /// The worker ended as one that found something wrong with itself. Only its last words say whether
    /// it was for want of memory.
    Abort(Abort),
}

/// The end of a child as `wait4` tells it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waited {
    pub(super) status: ExitStatus,
    pub(super) used: Option<Used>,
}

impl Waited {
    /// The end of a process of which its parent has not told.
    const UNREPORTED: Self = Self {
        status: ExitStatus::Unreported,
        used: None,
    };
}

impl Child {
    /// Takes over a child that was just started and is not reaped.
    pub(super) fn adopt(pid: Pid, reaper: Reaper) -> io::Result<Self> {
        // SAFETY: the system call takes two integers and touches no memory of ours.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
        let fd = RawFd::try_from(fd).unwrap_or(-1);
        if fd < 0 {
            let error = io::Error::last_os_error();
            // Without a pidfd it cannot be watched; it is our unreaped child, so the pid is its own.
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::SIGKILL);
            let _ = nix::sys::wait::waitpid(pid, None);
            return Err(error);
        }
        // SAFETY: the kernel just gave us this descriptor, and nobody else knows it.
        let pidfd = unsafe { OwnedFd::from_raw_fd(fd) };
        reaper.enter(pid);
        Ok(Self {
            pid,
            pidfd,
            parent: Parent::Us {
                reaped: false,
                reaper,
            },
        })
    }

    /// Takes over a worker that a fork server has made. What is taken over is ended sooner or later,
    /// so a fork server must not choose whom.
    ///
    /// # Errors
    /// When the descriptor is not that of a child of the fork server, living or just dead.
    pub(super) fn of_zygote(pidfd: OwnedFd, zygote: i32, told: Told) -> io::Result<Self> {
        let no_worker = || io::Error::other("it passed a descriptor that is not a worker's");
        let pid = kin::child_of(zygote, &pidfd)?.ok_or_else(no_worker)?;
        Ok(Self {
            pid,
            pidfd,
            parent: Parent::Zygote(told),
        })
    }

    fn kill(&self) {
        if let Parent::Us { reaped: true, .. } = self.parent {
            return;
        }
        // SAFETY: integers and a null pointer, which the call allows; the descriptor is open.
        let result = unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                self.pidfd.as_raw_fd(),
                libc::SIGKILL,
                std::ptr::null::<libc::siginfo_t>(),
                0,
            )
        };
        if result < 0 {
            let error = io::Error::last_os_error();
            if error.raw_os_error() != Some(libc::ESRCH) {
                tracing::error!(pid = self.pid.as_raw(), %error, "a worker could not be killed");
            }
        }
    }

    /// Its end, once it has ended. A fork server is given so much time for its word.
    async fn waited(&mut self, patience: Duration) -> Option<Waited> {
        match &mut self.parent {
            Parent::Us { reaped, reaper } => {
                let waited = reaper.try_reap(self.pid)?;
                *reaped = true;
                Some(waited)
            }
            Parent::Zygote(Told { exit, complaints }) => {
                let answer_wait = limits::ZYGOTE_ANSWER_WAIT_MAX;
                let mut word = timeout(answer_wait, &mut *exit).await;
                if word.is_err() {
                    // There are others to complain where there is no room.
                    let _enough_have = complaints.try_send(Complaint::Silence);
                    word = timeout(patience.saturating_sub(answer_wait), exit).await;
                }
                Some(match word {
                    Ok(Ok(waited)) => waited,
                    Ok(Err(_)) | Err(_) => Waited::UNREPORTED,
                })
            }
        }
    }

    /// Tells its fork server what its end was like, where that cannot know.
    fn denounce(&self, exit: &Exit) {
        if let (Parent::Zygote(told), Some(abort)) = (&self.parent, exit.abort()) {
            let _enough_have = told.complaints.try_send(Complaint::Abort(abort));
        }
    }
}

/// What the kernel counts memory in.
pub(super) const BYTES_PER_KIB: u64 = 1 << 10;

/// Whether this process, or the system, has as many descriptors open as it may.
pub(super) fn is_shortage(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// Reaps a child of this process that nobody has reaped yet, if it has ended, and strikes it out.
pub(super) fn try_reap(pid: Pid, register: &Register) -> Option<Waited> {
    let waited = wait_for(pid)?;
    register.strike_out(pid);
    Some(waited)
}

fn wait_for(pid: Pid) -> Option<Waited> {
    let mut status = 0;
    // SAFETY: plain old data; all zeroes is a value of it.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to locals that outlive the call; the pid is that of our own child,
    // which is not reaped, so that it cannot have become another process.
    let found = unsafe { libc::wait4(pid.as_raw(), &mut status, libc::WNOHANG, &mut usage) };
    if found == 0 {
        return None;
    }
    if found < 0 {
        tracing::error!(pid = pid.as_raw(), "a worker was reaped by somebody else");
        return Some(Waited {
            status: ExitStatus::Lingers,
            used: None,
        });
    }
    let status = if libc::WIFSIGNALED(status) {
        ExitStatus::Signal(libc::WTERMSIG(status))
    } else {
        ExitStatus::Code(libc::WEXITSTATUS(status))
    };
    let used = Used {
        cpu: duration(usage.ru_utime) + duration(usage.ru_stime),
        peak_bytes: u64::try_from(usage.ru_maxrss).unwrap_or(0) * BYTES_PER_KIB,
    };
    Some(Waited {
        status,
        used: Some(used),
    })
}

fn duration(time: libc::timeval) -> Duration {
    Duration::from_secs(u64::try_from(time.tv_sec).unwrap_or(0))
        + Duration::from_micros(u64::try_from(time.tv_usec).unwrap_or(0))
}

impl AsRawFd for Child {
    fn as_raw_fd(&self) -> RawFd {
        self.pidfd.as_raw_fd()
    }
}

impl AsFd for Child {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
        match &self.parent {
            Parent::Us {
                reaped: false,
                reaper,
            } if reaper.try_reap(self.pid).is_none() => reaper.take(self.pid),
            Parent::Us { .. } | Parent::Zygote(_) => {}
        }
    }
}

/// What has made a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It was executed by itself: its memory layout is its own.
    Executed,
    /// The fork server of this number forked it: it shares that one's memory layout.
    Forked {
        /// Counted from 0 in the life of a server.
        generation: u64,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Executed => f.write_str("executed"),
            Self::Forked { generation } => write!(f, "forked by fork server {generation}"),
        }
    }
}

/// A worker process, within the asynchronous runtime.
#[derive(Debug)]
pub struct Process {
    child: AsyncFd<Child>,
    stderr: OwnedFd,
    origin: Origin,
    /// Whether it was ended by us, so that its end says nothing.
    is_killed: AtomicBool,
    /// Dropped after the child, which is killed then.
    membership: Option<Membership>,
}

impl Process {
    /// `stderr` is the reading end of its standard error, not blocking.
    pub(super) fn new(child: Child, stderr: OwnedFd, origin: Origin) -> io::Result<Self> {
        // A dropped child is killed and reaped, also when this fails.
        // SAFETY: the descriptor is that of the pidfd which the child owns, never replaces, and
        // closes only when it is dropped, after its registration.
        let child = unsafe { AsyncFd::register_with_interest(child, Interest::READABLE) }?;
        Ok(Self {
            child,
            stderr,
            origin,
            is_killed: AtomicBool::new(false),
            membership: None,
        })
    }

    /// Its process id, for logs and tests.
    pub fn id(&self) -> i32 {
        self.child.get_ref().pid.as_raw()
    }

    /// What has made it.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// Asks for a control group for it.
    pub(super) fn apply(&self, groups: &Groups) -> Option<Applicant> {
        groups.admit(self.id(), self.child.get_ref())
    }

    /// Remembers its place in a control group, for as long as it lives.
    pub(super) fn join(&mut self, membership: Option<Membership>) {
        self.membership = membership;
    }

    fn was_out_of_memory(&self) -> bool {
        let membership = self.membership.as_ref();
        membership.is_some_and(Membership::was_out_of_memory)
    }

    /// Kills it. Nothing happens when it has ended.
    pub fn kill(&self) {
        self.is_killed.store(true, Ordering::Relaxed);
        self.child.get_ref().kill();
    }

    /// Waits until it has ended; it is not reaped then. Can be dropped and asked again.
    pub async fn exited(&self) {
        // An error means that the runtime goes away, and every child with it.
        if let Ok(guard) = self.child.readable().await {
            // The pidfd of an ended process stays readable: the readiness is kept.
            drop(guard);
        }
    }

    /// Memory of its own that is resident, in bytes; `None` where the system does not tell, or it has
    /// ended.
    pub(super) fn resident_bytes(&self) -> Option<u64> {
        let bytes = self.resident_bytes_of_number()?;
        // What a fork server has reaped has lost its number, and another process may have it. Who
        // lives after the look had it all the time.
        self.is_alive().then_some(bytes)
    }

    fn resident_bytes_of_number(&self) -> Option<u64> {
        if !proc::is_ours() {
            return None;
        }
        // size resident shared ..., in pages; what is shared is the program and the like.
        let text = std::fs::read_to_string(format!("/proc/{}/statm", self.id())).ok()?;
        let mut pages = text.split_ascii_whitespace().skip(1);
        let mut next = || pages.next()?.parse::<u64>().ok();
        let (resident, shared) = (next()?, next()?);
        let page_bytes = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE);
        let page_bytes = page_bytes.ok().flatten()?.unsigned_abs();
        Some(resident.saturating_sub(shared).saturating_mul(page_bytes))
    }

    /// What it has used by now; `None` where the system does not tell, or it has ended.
    pub fn used(&self) -> Option<Used> {
        if !proc::is_ours() {
            return None;
        }
        let used = usage::of_process(self.child.get_ref().pid)?;
        // As with its memory: who lives after the look had its number all the time.
        self.is_alive().then_some(used)
    }

    /// Whether it has not ended. Does not wait.
    pub(super) fn is_alive(&self) -> bool {
        let mut watched = [PollFd::new(self.child.get_ref().as_fd(), PollFlags::POLLIN)];
        matches!(poll(&mut watched, PollTimeout::ZERO), Ok(0))
    }

    /// Waits for its end, for `grace` at most, if it was not killed before; kills it then; reaps it.
    pub async fn reap(mut self, grace: Duration) -> Exit {
        let is_in_time = timeout(grace, self.exited()).await.is_ok();
        if !is_in_time {
            self.kill();
        }
        // Why it ended is known where it was killed: nobody has to wait for it longer than it takes to
        // see that its fork server hangs.
        let patience = if self.is_killed.load(Ordering::Relaxed) {
            limits::ZYGOTE_ANSWER_WAIT_MAX
        } else {
            limits::ZYGOTE_WORD_WAIT_MAX
        };
        let gone = timeout(limits::REAP_WAIT_MAX, self.exited()).await;
        let waited = match gone {
            Ok(()) => self.child.get_mut().waited(patience).await,
            Err(_) => None,
        };
        let Some(waited) = waited else {
            tracing::error!(
                pid = self.id(),
                "a killed worker has not ended; the reaper waits on"
            );
            return Exit::unseen();
        };
        let exit = Exit {
            status: match waited.status {
                ExitStatus::Signal(libc::SIGKILL) if self.was_out_of_memory() => {
                    ExitStatus::OverMemory
                }
                ExitStatus::Signal(libc::SIGKILL) if !is_in_time => ExitStatus::Severed,
                status => status,
            },
            used: waited.used,
            stderr_tail: self.stderr_tail(),
        };
        self.child.get_ref().denounce(&exit);
        exit
    }

    /// What is in its standard error. Nobody reads it before: who fills the pipe waits, and reaches
    /// the deadline.
    fn stderr_tail(&self) -> String {
        let mut bytes = Vec::new();
        let mut piece = [0; 4096];
        // A grandchild may still write: what one pipe holds is enough.
        while bytes.len() < limits::LINK_READ_BYTES {
            match nix::unistd::read(&self.stderr, &mut piece) {
                Ok(0) | Err(_) => break,
                Ok(length) => bytes.extend_from_slice(&piece[..length]),
            }
        }
        printable_tail(&bytes, limits::STDERR_TAIL_BYTES_MAX)
    }
}
