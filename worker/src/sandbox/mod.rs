//! The jail: what a worker gives up before it reads a user's byte.
//!
//! It assumes that scripts own the process: everything here is to hold against machine code.
//!
//! # The order, and why
//!
//! ```text
//! 1  signals, descriptors      nothing inherited but what is listed; last words are prepared
//! 2  OOM victim, keyring       while /proc and the user are still there
//! 3  user, namespaces, root    a new user first, its maps while /proc is there, the root last
//! 4  capabilities              a user namespace has just given them all
//! 5  no new privileges         Landlock and seccomp need it
//! 6  speculation, not dumpable,
//!    dies with its parent      after the changes of credentials, which reset the last two
//! 7  limits
//! 8  Landlock                  a domain for each worker
//! 9  self-check of the walls   while there are descriptors to try them with
//! 10 no more descriptors       Landlock and the check need one
//! 11 self-check                what must fail is tried; what was set is read back
//! 12 executable memory         in tier jitless: memory that was writable never becomes executable
//! 13 seccomp                   last: it forbids all of the above
//! 14 self-check of the filter
//! ```
//!
//! A worker that was executed does all of it, with its runtime made before and Hello said after. A
//! fork server does 2 to 6 once ([`enter_zygote`]), and keeps one capability, within its user
//! namespace, to give each worker a process namespace; its workers do the rest ([`enter_worker`]).
//! It enters a Landlock domain too, around those of its workers. It has no filter of its own: it hears
//! nobody but the server, and what it does for workers (processes, namespaces, descriptors, filters) is
//! most of what one would forbid.
//!
//! # What is required
//!
//! [`Report::judge`] decides when all steps but the filter are done, and again at the end: see
//! [`report::Need`]. Nothing is believed from a version: a step that the kernel refuses is noted with
//! the kernel's reason, and the self-check looks at effects.
//!
//! # What is not here
//!
//! `RLIMIT_DATA` and `RLIMIT_CPU` belong to an execution, so [`tighten`] sets them when it is known:
//! the filter lets a process lower these two for itself. A namespace for processes needs a fork, so a
//! worker that was executed has none: Landlock's scope for signals stands in for it, and the filter.

mod kernel;
pub mod plan;
pub mod probe;
pub mod report;
pub mod seccomp;

mod capabilities;
mod descriptors;
mod landlock;
mod last_words;
mod namespaces;
mod rlimits;
mod self_check;

use mcp_v8_protocol::message::{ExecutionLimits, HeapUse};
use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::unistd::{ForkResult, Pid};

use self::capabilities::Capability;
pub use self::descriptors::{Descriptors, INPUT_FD, MODULES_FD, OUTPUT_FD, WINDOW_FD};
pub use self::kernel::Kernel;
pub use self::plan::{Asked, Mode, Plan, Way};
pub use self::report::{Layer, Missing, Report, State};

/// Why a process must not go on.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// A required step failed.
    #[error("cannot {step}: {source}")]
    Step {
        /// What was to be done.
        step: &'static str,
        /// What the kernel said.
        source: Errno,
    },
    /// Required layers are missing.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// A self-check found something possible that must not be.
    #[error("the jail leaks: {leak}")]
    Leak {
        /// What is possible.
        leak: &'static str,
    },
}

type Result<T> = std::result::Result<T, SandboxError>;

trait Step<T> {
    fn step(self, step: &'static str) -> Result<T>;
}

impl<T> Step<T> for std::result::Result<T, Errno> {
    fn step(self, step: &'static str) -> Result<T> {
        self.map_err(|source| SandboxError::Step { step, source })
    }
}

/// The plan for this process on this machine.
pub fn plan(asked: Asked) -> Plan {
    Plan::new(asked, &probe::offer())
}

/// Confines a fork server, before V8. The report is for its workers to go on with; it is filled in also
/// when this fails.
///
/// Afterwards there is no `/proc`: whatever is to be read of it must be open before.
///
/// # Errors
/// [`SandboxError`]: the process must not go on.
pub fn enter_zygote(plan: &Plan, report: &mut Report) -> Result<()> {
    // Out of the server's session, and away from its terminal. A server starts fork servers as leaders
    // of process groups, and a leader gets no session: it stays, and what is left of the terminal is
    // refused by the filter (`ioctl`), in workers.
    let _leader = nix::unistd::setsid();
    enter_shared(plan, report)?;
    let keep = report
        .is_on(Layer::UserNamespace)
        .then_some(Capability::SysAdmin);
    close_in(keep, report)?;
    enter_domain(plan, report);
    Ok(())
}

/// Forks a worker from a confined fork server: into a process namespace of its own, where the fork
/// server can make one. In that namespace the worker is number 1 and has no parent (`getppid` is 0).
///
/// `clone3` would do, but containers refuse it; and the C library's `fork` takes no flags.
///
/// # Errors
/// What the kernel says when it makes no process.
///
/// # Safety
/// The process has one thread, and holds no lock that the child will want: what the C library does
/// for locks when a process forks is not done.
pub unsafe fn fork_worker(zygote: &Report) -> std::result::Result<ForkResult, Errno> {
    let namespace = if zygote.is_on(Layer::UserNamespace) {
        libc::CLONE_NEWPID
    } else {
        0
    };
    let flags = libc::c_long::from(libc::SIGCHLD | namespace);
    // SAFETY: no new stack, so that this is a fork; the caller answers for threads and locks.
    let pid = Errno::result(unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) })?;
    Ok(match i32::try_from(pid).map_err(|_| Errno::ERANGE)? {
        0 => ForkResult::Child,
        child => ForkResult::Parent {
            child: Pid::from_raw(child),
        },
    })
}

/// Shuts the jail around a worker. `report` is the fork server's, or empty; it is filled in also when
/// this fails.
///
/// # Errors
/// [`SandboxError`]: the process must not go on.
pub fn enter_worker(plan: &Plan, descriptors: &Descriptors, report: &mut Report) -> Result<()> {
    enter_walls(plan, descriptors, report)?;
    forbid_executable_memory(plan.executable_memory, report);
    let installed = seccomp::install(plan.executable_memory).step("install the filter")?;
    report.note(Layer::Seccomp, State::On(installed));
    self_check::after_filter()?;
    let detail = "files, sockets, processes and privileges were refused".to_owned();
    report.note(Layer::SelfCheck, State::On(detail));
    Ok(report.judge(plan.mode, &[])?)
}

/// Everything but the filter, which [`enter_worker`] goes on with. By itself it is for tests of what
/// holds without it.
///
/// # Errors
/// [`SandboxError`]: the process must not go on.
pub fn enter_walls(plan: &Plan, descriptors: &Descriptors, report: &mut Report) -> Result<()> {
    descriptors::forget_signals().step("set signals to their default actions")?;
    last_words::prepare().step("prepare last words")?;
    descriptors::arrange(descriptors).step("put the supervisor's pipes into their places")?;
    let detail = "the null device, last words and two pipes".to_owned();
    report.note(Layer::Descriptors, State::On(detail));
    if plan.way == Way::Exec {
        enter_shared(plan, report)?;
    }
    note_pid_namespace(plan.way, report);
    close_in(None, report)?;
    let limits = rlimits::set().step("set resource limits")?;
    report.note(Layer::Limits, State::On(limits));
    enter_domain(plan, report);
    let yet_to_come = [Layer::Seccomp, Layer::SelfCheck];
    report.judge(plan.mode, &yet_to_come)?;
    self_check::of_walls(report)?;
    rlimits::seal_descriptors().step("forbid new descriptors")?;
    self_check::before_filter(report)
}

/// Sets the kernel's limits for one execution. Works in the jail.
///
/// # Errors
/// [`SandboxError`]: the process must not go on.
pub fn tighten(limits: &ExecutionLimits, heap: HeapUse) -> Result<()> {
    rlimits::tighten(limits, heap).step("limit data and CPU time")
}

/// Gives this process the data that [`tighten`] has kept back for a snapshot of the heap. Call it when
/// no script runs any more. Works in the jail.
///
/// # Errors
/// [`SandboxError`].
pub fn make_room_to_save() -> Result<()> {
    rlimits::make_room_to_save().step("raise the limit of data")
}

/// Whether the kernel's limit of data leaves this process less than 1 MiB. Works in the jail.
pub fn is_short_of_memory() -> bool {
    last_words::is_short()
}

/// Steps 2 and 3.
fn enter_shared(plan: &Plan, report: &mut Report) -> Result<()> {
    let victim = std::fs::write("/proc/self/oom_score_adj", "1000");
    let victim = victim.map(|()| "killed before anything else");
    report.note(Layer::OomVictim, State::of(victim));
    let no_name = std::ptr::null::<libc::c_char>();
    // SAFETY: without a name the call makes an anonymous keyring.
    let keyring = Errno::result(unsafe {
        libc::syscall(libc::SYS_keyctl, libc::KEYCTL_JOIN_SESSION_KEYRING, no_name)
    });
    report.note(Layer::Keyring, State::of(keyring.map(|_| "its own, empty")));
    namespaces::enter(plan, report)
}

/// Steps 4 to 6.
fn close_in(keep: Option<Capability>, report: &mut Report) -> Result<()> {
    let dropped = capabilities::drop_all_but(keep).step("give up capabilities")?;
    report.note(Layer::Capabilities, State::On(dropped.to_owned()));
    nix::sys::prctl::set_no_new_privs().step("give up new privileges")?;
    report.note(Layer::NoNewPrivileges, State::On("for good".to_owned()));
    let speculation = isolate_speculation().map(|()| "indirect branches are isolated for good");
    report.note(Layer::Speculation, State::of(speculation));
    nix::sys::prctl::set_dumpable(false).step("forbid others to look inside")?;
    report.note(
        Layer::NotDumpable,
        State::On("no dumps, no tracing".to_owned()),
    );
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).step("ask to die with the parent")?;
    report.note(Layer::DiesWithParent, State::On("SIGKILL".to_owned()));
    Ok(())
}

/// Step 8.
fn enter_domain(plan: &Plan, report: &mut Report) {
    let landlock = if plan.landlock {
        State::of(landlock::enter())
    } else {
        State::Off("the kernel has none, or it is not in its list of security modules".to_owned())
    };
    report.note(Layer::Landlock, landlock);
}

fn note_pid_namespace(way: Way, report: &mut Report) {
    let state = if nix::unistd::getpid().as_raw() == 1 && way == Way::Zygote {
        State::On("it sees itself only".to_owned())
    } else if way == Way::Exec {
        State::Off("a worker that is executed has none: --worker-start zygote".to_owned())
    } else {
        State::Off("the fork server could not make one".to_owned())
    };
    report.note(Layer::PidNamespace, state);
}

fn isolate_speculation() -> std::result::Result<(), Errno> {
    // SAFETY: numbers only.
    Errno::result(unsafe {
        libc::prctl(
            libc::PR_SET_SPECULATION_CTRL,
            libc::PR_SPEC_INDIRECT_BRANCH,
            libc::PR_SPEC_FORCE_DISABLE,
            0,
            0,
        )
    })
    .map(drop)
}

fn forbid_executable_memory(is_needed: bool, report: &mut Report) {
    let state = if is_needed {
        State::Off("the engine makes code: --engine-tier jitless".to_owned())
    } else {
        // SAFETY: numbers only.
        let set = Errno::result(unsafe {
            libc::prctl(libc::PR_SET_MDWE, libc::PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0)
        });
        State::of(set.map(|_| "never gained, by the kernel and by the filter"))
    };
    report.note(Layer::ExecutableMemory, state);
}
