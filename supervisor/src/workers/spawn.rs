//! The only place that starts a process, on one thread that lives as long as anything needs it.
//!
//! One thread, because a worker asks to die with its parent, and the kernel means the parent
//! *thread*. It also reaps children whose owners were dropped.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::{SigHandler, SigSet, Signal};
use nix::unistd::Pid;
use tokio::sync::oneshot;

use super::launch::Spawned;
use super::link::Link;
use super::process::{Child, Process, try_reap};
use crate::limits;

/// The worker's end of the pipe to it.
const TO_WORKER_FD: RawFd = 3;
/// The worker's end of the pipe from it.
const FROM_WORKER_FD: RawFd = 4;
/// Descriptors for a child are moved here or above, out of the way of 0 to 4.
const FIRST_FREE_FD: RawFd = 10;
/// How often the thread looks after children that it has to reap.
const REAP_INTERVAL: Duration = Duration::from_millis(5);

/// Why no worker process was started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// There is no such program.
    #[error(
        "there is no worker program at {}; build mcp-v8-worker, put it beside mcp-v8, or give its \
         place with --worker-path", .path.display()
    )]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// It may not be executed.
    #[error(
        "the worker program {} cannot be executed (permission denied); make it an executable file \
         (chmod +x) on a file system that is not mounted noexec", .path.display()
    )]
    NotExecutable {
        /// The program.
        path: PathBuf,
    },
    /// It is no program for this machine.
    #[error(
        "{} is not a program for this machine; build mcp-v8-worker for it, or correct \
         --worker-path", .path.display()
    )]
    WrongFormat {
        /// The program.
        path: PathBuf,
    },
    /// The system has no process, descriptor or memory left.
    #[error(
        "the system refused to start the worker {}: {source}; raise its limits of processes, open \
         files or memory, or lower --max-concurrent-executions", .path.display()
    )]
    System {
        /// The program.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The thread that starts processes is gone.
    #[error("the thread that starts workers has stopped; restart the server")]
    Stopped,
}

enum Request {
    Spawn {
        reaper: Reaper,
        reply: oneshot::Sender<Result<Started, SpawnError>>,
    },
    Reap(Pid),
}

/// A started worker on its way to the task that asked for it.
#[derive(Debug)]
struct Started {
    child: Child,
    to_worker: OwnedFd,
    from_worker: OwnedFd,
    stderr: OwnedFd,
}

/// Starts workers. Clones share one thread, which ends with the last of them and of their children.
#[derive(Debug, Clone)]
pub struct Spawner {
    requests: Reaper,
    program: Arc<Path>,
}

/// Where children go whose owners were dropped.
#[derive(Debug, Clone)]
pub(super) struct Reaper(SyncSender<Request>);

impl Reaper {
    /// Takes over a child that was killed, but is not reaped.
    pub(super) fn take(&self, pid: Pid) {
        // The channel has room for every worker there can be. Without the thread, this process ends
        // too, and the kernel takes care of its zombies.
        let _ = self.0.try_send(Request::Reap(pid));
    }
}

impl Spawner {
    /// Starts the thread. Descriptors that this process has inherited are closed for its children.
    ///
    /// # Errors
    /// When the system has no thread left, or is too old (Linux 5.11 is needed).
    pub fn start(program: PathBuf) -> io::Result<Self> {
        // Ours are made with CLOEXEC; these may not be.
        // SAFETY: integers only; it changes a flag that no code here relies on.
        let result = unsafe {
            libc::syscall(
                libc::SYS_close_range,
                3u32,
                u32::MAX,
                libc::CLOSE_RANGE_CLOEXEC,
            )
        };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        // Where a parent has set it to be ignored, children would vanish without a status.
        // SAFETY: the default action runs no code of ours.
        unsafe { nix::sys::signal::signal(Signal::SIGCHLD, SigHandler::SigDfl)? };
        let null = std::fs::File::open("/dev/null")?;
        let null = above_standard(null.as_fd())?;
        let (sender, receiver) = sync_channel(limits::SPAWN_QUEUE_LENGTH);
        let program: Arc<Path> = program.into();
        let shop = Shop {
            program: Arc::clone(&program),
            null,
        };
        thread::Builder::new()
            .name("mcp-v8-spawn".to_owned())
            .spawn(move || shop.serve(&receiver))?;
        Ok(Self {
            requests: Reaper(sender),
            program,
        })
    }

    /// The program that it starts.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Asks for one worker, without waiting for it.
    ///
    /// # Errors
    /// [`SpawnError`]: nothing was asked.
    pub fn request(&self) -> Result<Spawning, SpawnError> {
        let reaper = self.requests.clone();
        let (reply, answer) = oneshot::channel();
        match self.requests.0.try_send(Request::Spawn { reaper, reply }) {
            Ok(()) => Ok(Spawning {
                spawner: self.clone(),
                answer,
            }),
            Err(TrySendError::Full(_)) => Err(self.system_error(Errno::EAGAIN.into())),
            Err(TrySendError::Disconnected(_)) => Err(SpawnError::Stopped),
        }
    }

    /// Starts one worker. When the future is dropped, so is the worker.
    ///
    /// # Errors
    /// [`SpawnError`].
    pub async fn spawn(&self) -> Result<Spawned, SpawnError> {
        self.request()?.started().await
    }

    fn equip(&self, started: Started) -> io::Result<Spawned> {
        let flags = OFlag::from_bits_retain(fcntl(&started.stderr, FcntlArg::F_GETFL)?);
        fcntl(
            &started.stderr,
            FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK),
        )?;
        let process = Process::new(started.child, started.stderr)?;
        let link = Link::new(started.to_worker, started.from_worker)?;
        Ok(Spawned::new(process, link, Arc::clone(&self.program)))
    }

    fn system_error(&self, source: io::Error) -> SpawnError {
        SpawnError::System {
            path: self.program.to_path_buf(),
            source,
        }
    }
}

/// A worker that was asked for. When this is dropped, so is the worker.
#[derive(Debug)]
pub struct Spawning {
    spawner: Spawner,
    answer: oneshot::Receiver<Result<Started, SpawnError>>,
}

impl Spawning {
    /// Waits until it is started. Can be dropped and asked again, until it has answered.
    ///
    /// # Errors
    /// [`SpawnError`].
    pub async fn started(&mut self) -> Result<Spawned, SpawnError> {
        let started = (&mut self.answer)
            .await
            .map_err(|_| SpawnError::Stopped)??;
        let equipped = self.spawner.equip(started);
        equipped.map_err(|error| self.spawner.system_error(error))
    }
}

/// What the thread works with.
struct Shop {
    program: Arc<Path>,
    null: OwnedFd,
}

impl Shop {
    fn serve(&self, requests: &Receiver<Request>) {
        let mut orphans: Vec<Pid> = Vec::new();
        loop {
            orphans.retain(|pid| try_reap(*pid).is_none());
            let request = if orphans.is_empty() {
                requests.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                requests.recv_timeout(REAP_INTERVAL)
            };
            match request {
                // Who no longer waits gets nothing: the started child is dropped, killed and reaped.
                Ok(Request::Spawn { reaper, reply }) => drop(reply.send(self.spawn(reaper))),
                Ok(Request::Reap(pid)) => orphans.push(pid),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) if orphans.is_empty() => break,
                // Nobody is left to ask for anything, but the dead are not all buried.
                Err(RecvTimeoutError::Disconnected) => thread::sleep(REAP_INTERVAL),
            }
        }
    }

    fn spawn(&self, reaper: Reaper) -> Result<Started, SpawnError> {
        let failed = |error: io::Error| SpawnError::System {
            path: self.program.to_path_buf(),
            source: error,
        };
        let (to_worker_read, to_worker) = io::pipe().map_err(failed)?;
        let (from_worker, from_worker_write) = io::pipe().map_err(failed)?;
        let (stderr, stderr_write) = io::pipe().map_err(failed)?;
        let give = |fd| above_standard(fd).map_err(failed);
        let wiring = [
            (give(self.null.as_fd())?, libc::STDIN_FILENO),
            (give(self.null.as_fd())?, libc::STDOUT_FILENO),
            (give(stderr_write.as_fd())?, libc::STDERR_FILENO),
            (give(to_worker_read.as_fd())?, TO_WORKER_FD),
            (give(from_worker_write.as_fd())?, FROM_WORKER_FD),
        ];
        let pid = self.exec(&wiring).map_err(|errno| self.explain(errno))?;
        let child = Child::adopt(pid, reaper).map_err(failed)?;
        Ok(Started {
            child,
            to_worker: to_worker.into(),
            from_worker: from_worker.into(),
            stderr: stderr.into(),
        })
    }

    fn exec(&self, wiring: &[(OwnedFd, RawFd)]) -> Result<Pid, Errno> {
        let mut actions = PosixSpawnFileActions::init()?;
        for (ours, theirs) in wiring {
            actions.add_dup2(ours.as_raw_fd(), *theirs)?;
        }
        let mut attributes = PosixSpawnAttr::init()?;
        // A group of its own: Ctrl-C in a terminal is for the supervisor, which then ends its
        // workers in good order. And no signal is ignored or blocked because the supervisor does.
        attributes.set_flags(
            PosixSpawnFlags::POSIX_SPAWN_SETPGROUP
                | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF
                | PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK,
        )?;
        attributes.set_pgroup(Pid::from_raw(0))?;
        attributes.set_sigdefault(&SigSet::all())?;
        attributes.set_sigmask(&SigSet::empty())?;
        let program =
            CString::new(self.program.as_os_str().as_bytes()).map_err(|_| Errno::ENOENT)?;
        let arguments: [&CStr; 2] = [&program, c"serve"];
        let environment: [&CStr; 2] = [c"TZ=UTC", c"LC_ALL=C"];
        posix_spawn(
            program.as_c_str(),
            &actions,
            &attributes,
            &arguments,
            &environment,
        )
    }

    fn explain(&self, errno: Errno) -> SpawnError {
        let path = self.program.to_path_buf();
        if matches!(errno, Errno::ENOENT | Errno::ENOTDIR) && !path.exists() {
            SpawnError::Missing { path }
        } else if matches!(errno, Errno::EACCES | Errno::EPERM) {
            SpawnError::NotExecutable { path }
        } else if matches!(errno, Errno::ENOEXEC | Errno::ELIBBAD | Errno::ENOENT) {
            // It exists, but its interpreter or loader does not, or it is none.
            SpawnError::WrongFormat { path }
        } else {
            SpawnError::System {
                path,
                source: errno.into(),
            }
        }
    }
}

/// A copy of a descriptor that is in nobody's way, and is closed in children.
fn above_standard(fd: impl AsFd) -> io::Result<OwnedFd> {
    let copy = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(FIRST_FREE_FD))?;
    // SAFETY: the kernel just gave us this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}
