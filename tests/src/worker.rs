//! One conversation with the worker program, as the supervisor holds it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use mcp_v8_protocol::PROTOCOL_VERSION;
use mcp_v8_protocol::codec::{DecodeError, FrameReader, encode};
use mcp_v8_protocol::exit::ExitCode;
use mcp_v8_protocol::limits::SNAPSHOT_BYTES_MAX;
use mcp_v8_protocol::message::{Finished, FromWorker, HeapUse, Start, ToWorker};
use mcp_v8_protocol::mode::Mode;
use mcp_v8_protocol::phase::{Phase, Violation};
use mcp_v8_protocol::zygote::Ending;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::zygote::{Zygote, ZygoteError};

/// The worker's end of the pipe to it.
const TO_WORKER_FD: i32 = 3;
/// The worker's end of the pipe from it.
const FROM_WORKER_FD: i32 = 4;
/// The worker's heap window, where it keeps heaps.
const WINDOW_FD: i32 = 5;
/// Pipes are moved here or above, out of the way of 0 to 4.
const FIRST_FREE_FD: i32 = 10;
/// How long a worker may take to say Hello, and to exit after Finished.
const PATIENCE: Duration = Duration::from_secs(20);
/// How much is read at once, in bytes.
const READ_BYTES: usize = 64 << 10;

/// What became of one execution.
#[derive(Debug)]
pub struct Conversation {
    /// Everything that the console said.
    pub console: String,
    /// How it ended.
    pub end: End,
}

/// How a conversation ended.
#[derive(Debug)]
pub enum End {
    /// The worker said its last word.
    Finished(Finished),
    /// It was killed at the deadline.
    TimedOut,
    /// It ended without a last word.
    Died {
        /// Its exit status.
        status: ExitStatus,
        /// What it wrote on standard error.
        stderr: String,
    },
}

/// Why there was no conversation, or none by the rules.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The program is not where the build puts it.
    #[error("{} is not built; run scripts/test, or: cargo build -p mcp-v8-worker", .0.display())]
    NotBuilt(PathBuf),
    /// The system refused something.
    #[error("cannot talk to the worker: {0}")]
    Io(#[from] io::Error),
    /// There was no fork server, or none by the rules.
    #[error(transparent)]
    Zygote(#[from] ZygoteError),
    /// Bytes that are no message.
    #[error("the worker sent {0}")]
    Decode(#[from] DecodeError),
    /// A message out of turn.
    #[error("the worker broke the protocol: {0}")]
    Violation(#[from] Violation),
    /// The program is of another build.
    #[error("the worker speaks protocol {worker}, these tests {PROTOCOL_VERSION}: build it again")]
    Version {
        /// What the worker speaks.
        worker: u32,
    },
    /// Hello did not come in time.
    #[error("the worker did not say Hello within {} s", PATIENCE.as_secs())]
    NoHello,
    /// It said everything and stayed.
    #[error("the worker was still there {} s after Finished", PATIENCE.as_secs())]
    Stayed,
    /// It said everything, and then failed.
    #[error("the worker said Finished and then ended with {status}; it wrote: {stderr}")]
    BadExit {
        /// Its exit status.
        status: ExitStatus,
        /// What it wrote on standard error.
        stderr: String,
    },
}

impl From<Errno> for WorkerError {
    fn from(errno: Errno) -> Self {
        Self::Io(errno.into())
    }
}

/// The worker program of the build that the running test belongs to.
///
/// # Errors
/// [`WorkerError::NotBuilt`] when it is not there.
pub fn program() -> Result<PathBuf, WorkerError> {
    let test = std::env::current_exe()?;
    // target/<profile>/deps/<test>
    let profile = test.parent().and_then(Path::parent);
    let program = profile
        .unwrap_or(Path::new("."))
        .join(format!("mcp-v8-worker{}", std::env::consts::EXE_SUFFIX));
    if program.is_file() {
        Ok(program)
    } else {
        Err(WorkerError::NotBuilt(program))
    }
}

/// Runs one script in a worker process of its own, which is killed at the deadline. The deadline
/// counts from Start, as an execution's does. The arguments are those behind the subcommand. What
/// becomes of the heap of a script that has completed changes nothing of the outcome.
///
/// # Errors
/// [`WorkerError`] when the worker could not be started, or did not keep to the protocol.
pub fn run(
    program: &Path,
    arguments: &[&str],
    start: Start,
    deadline: Duration,
) -> Result<Conversation, WorkerError> {
    let mut started = spawn(program, arguments)?;
    let worker = Worker {
        pidfd: pidfd_of(started.child.id())?,
        stderr: started.child.stderr.take(),
        to_worker: started.to_worker,
        from_worker: started.from_worker,
    };
    let _window = started.window;
    converse(worker, start, deadline, || Ok(started.child.wait()?))
}

/// The same in a worker that a fork server forks, which has no other at that time.
///
/// # Errors
/// [`WorkerError`], as above.
pub fn run_forked(
    zygote: &mut Zygote,
    start: Start,
    deadline: Duration,
) -> Result<Conversation, WorkerError> {
    let forked = zygote.fork()?;
    let worker = Worker {
        pidfd: forked.pidfd,
        stderr: Some(forked.stderr),
        to_worker: forked.to_worker,
        from_worker: forked.from_worker,
    };
    converse(worker, start, deadline, || {
        Ok(match zygote.exited()?.ending {
            Ending::Code(code) => ExitStatus::from_raw(i32::from(code) << 8),
            Ending::Signal(signal) => ExitStatus::from_raw(signal.into()),
        })
    })
}

/// A worker, whoever its parent is.
struct Worker<E> {
    pidfd: OwnedFd,
    stderr: Option<E>,
    to_worker: File,
    from_worker: File,
}

fn converse<E: Read + Send>(
    worker: Worker<E>,
    start: Start,
    deadline: Duration,
    reap: impl FnOnce() -> Result<ExitStatus, WorkerError>,
) -> Result<Conversation, WorkerError> {
    let pidfd = &worker.pidfd;
    let keeps_heap = start.heap != HeapUse::Discard;
    thread::scope(|scope| {
        let stderr = scope.spawn(move || {
            let mut text = Vec::new();
            let _partial = worker
                .stderr
                .map(|mut stderr| stderr.read_to_end(&mut text));
            String::from_utf8_lossy(&text).into_owned()
        });
        let (arm, armed) = channel();
        let watchdog = scope.spawn(move || watch(&armed, pidfd));
        let mut talk = Talk {
            from_worker: worker.from_worker,
            frames: FrameReader::default(),
            phase: Phase::Booting,
            console: String::new(),
        };
        let talked = talk.hold(worker.to_worker, start, deadline, &arm);
        if talked.is_err() {
            kill(pidfd);
        }
        let ended = wait_for_end(pidfd);
        drop(arm);
        let killed_in_vain = watchdog.join().is_ok_and(|killed| killed);
        ended?;
        let status = reap()?;
        let stderr = stderr.join().unwrap_or_default();
        let end = match talked? {
            Some(_) if killed_in_vain => return Err(WorkerError::Stayed),
            Some(Finished::Failed(_)) if !is_orderly(status) => {
                return Err(WorkerError::BadExit { status, stderr });
            }
            // Some heaps make V8 end the process that saves them.
            Some(Finished::Completed(_)) if !keeps_heap && !is_orderly(status) => {
                return Err(WorkerError::BadExit { status, stderr });
            }
            Some(finished) => End::Finished(finished),
            None if killed_in_vain && is_running(talk.phase) => End::TimedOut,
            None if killed_in_vain => return Err(WorkerError::NoHello),
            None => End::Died { status, stderr },
        };
        Ok(Conversation {
            console: talk.console,
            end,
        })
    })
}

fn is_running(phase: Phase) -> bool {
    matches!(phase, Phase::Running | Phase::RunningToSave)
}

/// Whether a worker ends like this after its last word: at the heap limit it cannot simply go on.
fn is_orderly(status: ExitStatus) -> bool {
    let code = status.code().and_then(ExitCode::from_code);
    matches!(code, Some(ExitCode::Done | ExitCode::HeapLimit))
}

/// Kills the process when the time that was last set is over; true when it did.
fn watch(armed: &Receiver<Duration>, pidfd: &OwnedFd) -> bool {
    let mut patience = PATIENCE;
    loop {
        match armed.recv_timeout(patience) {
            Ok(next) => patience = next,
            Err(RecvTimeoutError::Disconnected) => return false,
            Err(RecvTimeoutError::Timeout) => {
                kill(pidfd);
                return true;
            }
        }
    }
}

/// A descriptor of a child that is not reaped yet.
fn pidfd_of(pid: u32) -> Result<OwnedFd, WorkerError> {
    use std::os::fd::FromRawFd;
    // SAFETY: integers only.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    let fd = i32::try_from(fd).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel just gave us this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn kill(pidfd: &OwnedFd) {
    let no_info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: the descriptor is open; who has ended already is left alone.
    unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            libc::SIGKILL,
            no_info,
            0,
        )
    };
}

fn wait_for_end(pidfd: &OwnedFd) -> Result<(), WorkerError> {
    loop {
        let mut watched = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
        match poll(&mut watched, PollTimeout::NONE) {
            Ok(_) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// A worker that was started; nothing was said yet.
#[derive(Debug)]
pub struct Started {
    /// Its process.
    pub child: Child,
    /// The pipe to it.
    pub to_worker: File,
    /// The pipe from it.
    pub from_worker: File,
    /// Where heaps travel, of the largest size, if it keeps any.
    pub window: Option<File>,
}

/// Starts a worker as the supervisor does, with arguments behind the subcommand.
///
/// # Errors
/// [`WorkerError::Io`] when the system refuses.
pub fn spawn(program: &Path, arguments: &[&str]) -> Result<Started, WorkerError> {
    let (their_input, to_worker) = io::pipe()?;
    let (from_worker, their_output) = io::pipe()?;
    let mut wiring = vec![
        (above_standard(their_input.into())?, TO_WORKER_FD),
        (above_standard(their_output.into())?, FROM_WORKER_FD),
    ];
    let mut window = None;
    if arguments.contains(&Mode::Stateful.name()) {
        let file = File::from(memfd_create(c"heap", MFdFlags::MFD_CLOEXEC)?);
        file.set_len(SNAPSHOT_BYTES_MAX)?;
        wiring.push((above_standard(file.try_clone()?.into())?, WINDOW_FD));
        window = Some(file);
    }
    let mut command = Command::new(program);
    command
        .arg("serve")
        .args(arguments)
        .env_clear()
        .envs([("TZ", "UTC"), ("LC_ALL", "C")])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    // SAFETY: the closure calls nothing but dup2, which POSIX allows between fork and exec.
    unsafe {
        command.pre_exec(move || {
            for (ours, theirs) in &wiring {
                Errno::result(libc::dup2(ours.as_raw_fd(), *theirs))?;
            }
            Ok(())
        });
    }
    let child = command.spawn()?;
    // Dropping the command closes this process's copies of the worker's ends.
    drop(command);
    Ok(Started {
        child,
        to_worker: File::from(OwnedFd::from(to_worker)),
        from_worker: File::from(OwnedFd::from(from_worker)),
        window,
    })
}

/// A copy of a descriptor that is in nobody's way, and is closed in children.
pub(crate) fn above_standard(fd: OwnedFd) -> Result<OwnedFd, Errno> {
    use std::os::fd::FromRawFd;
    let copy = fcntl(&fd, FcntlArg::F_DUPFD_CLOEXEC(FIRST_FREE_FD))?;
    // SAFETY: the kernel just gave us this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

struct Talk {
    from_worker: File,
    frames: FrameReader<FromWorker>,
    phase: Phase,
    console: String,
}

impl Talk {
    /// Everything up to the worker's last word; `None` when it died without one.
    fn hold(
        &mut self,
        mut to_worker: File,
        start: Start,
        deadline: Duration,
        arm: &Sender<Duration>,
    ) -> Result<Option<Finished>, WorkerError> {
        let mut start = Some(ToWorker::Start(start));
        while let Some(message) = self.next()? {
            self.phase = self.phase.on_from_worker(&message)?;
            match message {
                FromWorker::Hello(hello) => {
                    if hello.protocol_version != PROTOCOL_VERSION {
                        return Err(WorkerError::Version {
                            worker: hello.protocol_version,
                        });
                    }
                    let _watchdog_fired = arm.send(deadline);
                    if let Some(start) = start.take() {
                        self.phase = self.phase.on_to_worker(&start)?;
                        // A worker that dies while it is written to shows that in its status.
                        let _broken_pipe = to_worker.write_all(&encode(&start)?);
                    }
                }
                FromWorker::Console(console) => self.console.push_str(&console.text),
                FromWorker::Finished(finished) => {
                    let _watchdog_fired = arm.send(PATIENCE);
                    return Ok(Some(finished));
                }
                // The phase lets neither through before Finished.
                FromWorker::Saved(_) | FromWorker::Unsaved(_) => {}
                // Nobody answers.
                FromWorker::Fetch(_) => {}
            }
        }
        Ok(None)
    }

    fn next(&mut self) -> Result<Option<FromWorker>, WorkerError> {
        let mut bytes = vec![0; READ_BYTES];
        loop {
            if let Some(message) = self.frames.next_message()? {
                return Ok(Some(message));
            }
            match self.from_worker.read(&mut bytes) {
                Ok(0) => return Ok(None),
                Ok(read) => self.frames.push(&bytes[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
