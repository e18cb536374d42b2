//! The only place that starts a process, on one thread that lives as long as anything needs it.
//!
//! One thread, because a worker or fork server asks to die with its parent, and the kernel means the
//! parent *thread*. It also reaps children whose owners were dropped, and those that nobody owns.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use mcp_v8_protocol::mode::Mode;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::{SigHandler, SigSet, Signal};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::unistd::Pid;
use tokio::sync::oneshot;

use super::cgroup::Groups;
use super::jail::Jail;
use super::launch::Spawned;
use super::link::Link;
use super::modules::ModuleFile;
use super::process::{Child, Origin, Process, Waited, try_reap};
use super::spawn::SpawnError;
use super::strangers::{self, Register};
use super::window::Window;
use crate::limits;

/// The first of the descriptors that are a child's own.
const FIRST_OWN_FD: RawFd = 3;
/// Where a worker that keeps heaps finds its window.
const WINDOW_FD: RawFd = 5;
/// Where whatever is started finds the file of WebAssembly modules, if there are any.
const MODULES_FD: RawFd = 6;
/// Descriptors for a child are moved here or above, out of the way of those.
const FIRST_FREE_FD: RawFd = 10;
/// How often the thread looks after children that it has to reap.
const REAP_INTERVAL: Duration = Duration::from_millis(5);
/// How often it looks after strangers, where there can be some.
const STRANGERS_INTERVAL: Duration = Duration::from_secs(1);

enum Order {
    Worker {
        reaper: Reaper,
        reply: oneshot::Sender<Result<StartedWorker, SpawnError>>,
    },
    Zygote {
        reaper: Reaper,
        reply: oneshot::Sender<Result<StartedZygote, SpawnError>>,
    },
    Reap(Pid),
    Settle(oneshot::Sender<()>),
}

/// A started worker on its way to the task that asked for it.
#[derive(Debug)]
pub(super) struct StartedWorker {
    child: Child,
    ours: OurEnds,
}

/// A started fork server on its way to the task that asked for it.
#[derive(Debug)]
pub(super) struct StartedZygote {
    pub(super) child: Child,
    /// Our end of the control channel, not blocking.
    pub(super) control: OwnedFd,
    pub(super) stderr: OwnedFd,
}

/// The supervisor's ends of what it shares with a worker.
#[derive(Debug)]
pub(super) struct OurEnds {
    to_worker: OwnedFd,
    from_worker: OwnedFd,
    stderr: OwnedFd,
    window: Option<Window>,
}

/// A worker's ends of the same.
#[derive(Debug)]
pub(super) struct WorkerEnds {
    pub(super) input: OwnedFd,
    pub(super) output: OwnedFd,
    pub(super) stderr: OwnedFd,
    /// Where heaps are kept.
    pub(super) window: Option<OwnedFd>,
}

/// The pipes of one worker, and its heap window.
pub(super) fn ends(mode: Mode) -> io::Result<(OurEnds, WorkerEnds)> {
    let window = match mode {
        Mode::Stateless => None,
        Mode::Stateful => Some(Window::new()?),
    };
    let (input, to_worker) = io::pipe()?;
    let (from_worker, output) = io::pipe()?;
    let (stderr, stderr_write) = io::pipe()?;
    let ours = OurEnds {
        to_worker: to_worker.into(),
        from_worker: from_worker.into(),
        stderr: stderr.into(),
        window,
    };
    let shared = ours.window.as_ref().map(Window::share).transpose()?;
    let theirs = WorkerEnds {
        input: input.into(),
        output: output.into(),
        stderr: stderr_write.into(),
        window: shared,
    };
    Ok((ours, theirs))
}

/// Makes reads return at once when there is nothing.
pub(super) fn unblock(fd: &OwnedFd) -> io::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    fcntl(fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}

/// Starts processes of the worker's program. Clones share one thread, which ends with the last of
/// them and of their children.
#[derive(Debug, Clone)]
pub(super) struct Shop {
    orders: Reaper,
    kind: Kind,
    groups: Groups,
}

/// What is started.
#[derive(Debug, Clone)]
pub(super) struct Kind {
    /// The worker's program.
    pub(super) program: Arc<Path>,
    /// Its jail and engine.
    pub(super) jail: Jail,
    /// Whether it keeps heaps.
    pub(super) mode: Mode,
    /// The WebAssembly modules that scripts get.
    pub(super) modules: ModuleFile,
}

/// Where children go whose owners were dropped.
#[derive(Debug, Clone)]
pub(super) struct Reaper {
    orders: SyncSender<Order>,
    register: Register,
}

impl Reaper {
    /// Notes that a child was started.
    pub(super) fn enter(&self, pid: Pid) {
        self.register.enter(pid);
    }

    /// Reaps a child of ours that nobody has reaped yet, if it has ended.
    pub(super) fn try_reap(&self, pid: Pid) -> Option<Waited> {
        try_reap(pid, &self.register)
    }

    /// Takes over a child that was killed, but is not reaped.
    pub(super) fn take(&self, pid: Pid) {
        // The channel has room for every worker there can be. Without the thread, this process ends
        // too, and the kernel takes care of its zombies.
        let _ = self.orders.try_send(Order::Reap(pid));
    }
}

impl Shop {
    /// Starts the thread. Descriptors that this process has inherited are closed for its children.
    ///
    /// # Errors
    /// When the system has no thread left, or is too old (Linux 5.11 is needed).
    pub(super) fn open(kind: Kind, groups: Groups) -> io::Result<Self> {
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
        let register = Register::default();
        let bench = Bench {
            register: register.clone(),
            kind: kind.clone(),
            null,
        };
        thread::Builder::new()
            .name("mcp-v8-spawn".to_owned())
            .spawn(move || bench.serve(&receiver))?;
        Ok(Self {
            orders: Reaper {
                orders: sender,
                register,
            },
            kind,
            groups,
        })
    }

    /// The program that it starts.
    pub(super) fn program(&self) -> &Arc<Path> {
        &self.kind.program
    }

    /// The jail of what it starts.
    pub(super) fn jail(&self) -> Jail {
        self.kind.jail
    }

    /// Whether what it starts keeps heaps.
    pub(super) fn mode(&self) -> Mode {
        self.kind.mode
    }

    /// The asynchronous owner of a started worker.
    pub(super) fn equip(&self, child: Child, ours: OurEnds, origin: Origin) -> io::Result<Spawned> {
        unblock(&ours.stderr)?;
        let process = Process::new(child, ours.stderr, origin)?;
        let link = Link::new(ours.to_worker, ours.from_worker)?;
        let program = Arc::clone(&self.kind.program);
        let (sandbox, groups) = (self.kind.jail.sandbox, self.groups.clone());
        let window = ours.window;
        Ok(Spawned::new(
            process, link, window, program, sandbox, groups,
        ))
    }

    /// Asks for one worker, without waiting for it.
    pub(super) fn worker(&self) -> Result<Executing, SpawnError> {
        let (reply, answer) = oneshot::channel();
        let reaper = self.orders.clone();
        self.send(Order::Worker { reaper, reply })?;
        Ok(Executing {
            shop: self.clone(),
            answer,
        })
    }

    /// Starts one fork server. When the future is dropped, so is the process.
    pub(super) async fn zygote(&self) -> Result<StartedZygote, SpawnError> {
        let (reply, answer) = oneshot::channel();
        let reaper = self.orders.clone();
        self.send(Order::Zygote { reaper, reply })?;
        answer.await.map_err(|_| SpawnError::Stopped)?
    }

    /// Waits until everything is reaped whose owner was dropped before this call.
    pub(super) async fn settle(&self) {
        // Twice: what was started for somebody who had gone is dropped while the first is on its way.
        for _ in 0..2 {
            let (reply, answer) = oneshot::channel();
            if self.send(Order::Settle(reply)).is_ok() {
                let _settled = tokio::time::timeout(limits::REAP_WAIT_MAX, answer).await;
            }
        }
    }

    pub(super) fn system_error(&self, source: io::Error) -> SpawnError {
        SpawnError::System {
            path: self.kind.program.to_path_buf(),
            source,
        }
    }

    fn send(&self, order: Order) -> Result<(), SpawnError> {
        match self.orders.orders.try_send(order) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_)) => Err(self.system_error(Errno::EAGAIN.into())),
            Err(TrySendError::Disconnected(_)) => Err(SpawnError::Stopped),
        }
    }
}

/// A worker that is being executed. When this is dropped, so is the worker.
#[derive(Debug)]
pub(super) struct Executing {
    shop: Shop,
    answer: oneshot::Receiver<Result<StartedWorker, SpawnError>>,
}

impl Executing {
    /// Waits until it is started. Can be dropped and asked again, until it has answered.
    pub(super) async fn started(&mut self) -> Result<Spawned, SpawnError> {
        let StartedWorker { child, ours } = (&mut self.answer)
            .await
            .map_err(|_| SpawnError::Stopped)??;
        let equipped = self.shop.equip(child, ours, Origin::Executed);
        equipped.map_err(|error| self.shop.system_error(error))
    }
}

/// What the thread works with.
struct Bench {
    register: Register,
    kind: Kind,
    null: OwnedFd,
}

impl Bench {
    fn serve(&self, orders: &Receiver<Order>) {
        let has_strangers = strangers::come_here();
        let mut orphans: Vec<Pid> = Vec::new();
        let mut waiting: Vec<oneshot::Sender<()>> = Vec::new();
        loop {
            orphans.retain(|pid| try_reap(*pid, &self.register).is_none());
            if has_strangers {
                strangers::bury(&self.register);
            }
            if orphans.is_empty() {
                for reply in waiting.drain(..) {
                    let _nobody_waits = reply.send(());
                }
            }
            let order = if !orphans.is_empty() {
                orders.recv_timeout(REAP_INTERVAL)
            } else if has_strangers {
                orders.recv_timeout(STRANGERS_INTERVAL)
            } else {
                orders.recv().map_err(|_| RecvTimeoutError::Disconnected)
            };
            match order {
                // Who no longer waits gets nothing: the started child is dropped, killed and reaped.
                Ok(Order::Worker { reaper, reply }) => drop(reply.send(self.worker(reaper))),
                Ok(Order::Zygote { reaper, reply }) => drop(reply.send(self.zygote(reaper))),
                Ok(Order::Reap(pid)) => orphans.push(pid),
                Ok(Order::Settle(reply)) => waiting.push(reply),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) if orphans.is_empty() => break,
                // Nobody is left to ask for anything, but the dead are not all buried.
                Err(RecvTimeoutError::Disconnected) => thread::sleep(REAP_INTERVAL),
            }
        }
    }

    fn worker(&self, reaper: Reaper) -> Result<StartedWorker, SpawnError> {
        let (ours, theirs) = ends(self.kind.mode).map_err(|error| self.failed(error))?;
        let mut own = vec![
            (theirs.input.as_fd(), FIRST_OWN_FD),
            (theirs.output.as_fd(), FIRST_OWN_FD + 1),
        ];
        let window = theirs.window.as_ref();
        own.extend(window.map(|window| (window.as_fd(), WINDOW_FD)));
        let child = self.start(c"serve", &own, theirs.stderr.as_fd(), reaper)?;
        Ok(StartedWorker { child, ours })
    }

    fn zygote(&self, reaper: Reaper) -> Result<StartedZygote, SpawnError> {
        let (control, theirs) = socketpair(
            AddressFamily::Unix,
            SockType::SeqPacket,
            None,
            SockFlag::SOCK_CLOEXEC,
        )
        .map_err(|errno| self.failed(errno.into()))?;
        unblock(&control).map_err(|error| self.failed(error))?;
        let (stderr, stderr_write) = io::pipe().map_err(|error| self.failed(error))?;
        let stderr = OwnedFd::from(stderr);
        unblock(&stderr).map_err(|error| self.failed(error))?;
        let child = self.start(
            c"zygote",
            &[(theirs.as_fd(), FIRST_OWN_FD)],
            stderr_write.as_fd(),
            reaper,
        )?;
        Ok(StartedZygote {
            child,
            control,
            stderr,
        })
    }

    /// Starts the program with `/dev/null` as input and output, its `own` descriptors at these places,
    /// and the modules.
    fn start(
        &self,
        subcommand: &CStr,
        own: &[(BorrowedFd<'_>, RawFd)],
        stderr: impl AsFd,
        reaper: Reaper,
    ) -> Result<Child, SpawnError> {
        let give = |fd| above_standard(fd).map_err(|error| self.failed(error));
        let mut wiring = vec![
            (give(self.null.as_fd())?, libc::STDIN_FILENO),
            (give(self.null.as_fd())?, libc::STDOUT_FILENO),
            (give(stderr.as_fd())?, libc::STDERR_FILENO),
        ];
        let modules = self.kind.modules.descriptor();
        for (fd, place) in own
            .iter()
            .copied()
            .chain(modules.map(|fd| (fd, MODULES_FD)))
        {
            wiring.push((give(fd)?, place));
        }
        let pid = self.exec(subcommand, &wiring);
        let pid = pid.map_err(|errno| self.explain(errno))?;
        Child::adopt(pid, reaper).map_err(|error| self.failed(error))
    }

    fn exec(&self, subcommand: &CStr, wiring: &[(OwnedFd, RawFd)]) -> Result<Pid, Errno> {
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
            CString::new(self.kind.program.as_os_str().as_bytes()).map_err(|_| Errno::ENOENT)?;
        let mut arguments: Vec<&CStr> = vec![&program, subcommand];
        arguments.extend(self.kind.jail.arguments());
        arguments.extend([c"--mode", mode_word(self.kind.mode)]);
        if self.kind.modules.descriptor().is_some() {
            arguments.push(c"--wasm-modules");
        }
        let environment: [&CStr; 2] = [c"TZ=UTC", c"LC_ALL=C"];
        posix_spawn(
            program.as_c_str(),
            &actions,
            &attributes,
            &arguments,
            &environment,
        )
    }

    fn failed(&self, source: io::Error) -> SpawnError {
        SpawnError::System {
            path: self.kind.program.to_path_buf(),
            source,
        }
    }

    fn explain(&self, errno: Errno) -> SpawnError {
        let path = self.kind.program.to_path_buf();
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

const fn mode_word(mode: Mode) -> &'static CStr {
    match mode {
        Mode::Stateless => c"stateless",
        Mode::Stateful => c"stateful",
    }
}

/// A copy of a descriptor that is in nobody's way, and is closed in children.
fn above_standard(fd: impl AsFd) -> io::Result<OwnedFd> {
    let copy = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(FIRST_FREE_FD))?;
    // SAFETY: the kernel just gave us this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}
