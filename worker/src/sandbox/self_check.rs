//! Tries what must fail, and reads back what was set: before the filter is there to answer for
//! everything, and after.

use nix::errno::Errno;
use nix::sys::signal::Signal;

use super::SandboxError;
use super::capabilities;
use super::report::{Layer, Report, State};

/// Everything but the filter, after all changes of credentials: those reset some of it.
pub(super) fn before_filter(report: &Report) -> Result<(), SandboxError> {
    // SAFETY: none of these takes a pointer that is not a static text.
    let (file, socket, parent, privileges, dumpable) = unsafe {
        (
            libc::open(c"/".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC),
            libc::socket(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0),
            libc::getppid(),
            libc::prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0),
            libc::prctl(libc::PR_GET_DUMPABLE, 0, 0, 0, 0),
        )
    };
    let death = nix::sys::prctl::get_pdeathsig().ok().flatten();
    // From within a process namespace of its own a worker has no parent; from within a domain that
    // scopes signals it cannot reach it.
    let is_apart = report.is_on(Layer::PidNamespace) || scopes_signals(report);
    let reaches_parent = parent > 0 && nix::sys::signal::kill(pid(parent), None).is_ok();
    refuse(&[
        (file >= 0, "a directory can be opened"),
        (socket >= 0, "a socket can be made"),
        (is_apart && reaches_parent, "the parent can be signalled"),
        (privileges != 1, "new privileges can be had"),
        (dumpable != 0, "others can look inside"),
        (death != Some(Signal::SIGKILL), "it outlives its parent"),
        (!capabilities::has_none(), "capabilities are left"),
    ])
}

/// The filter: calls that it refuses without killing. That it kills is what the tests show, and what
/// nothing can try and live.
pub(super) fn after_filter() -> Result<(), SandboxError> {
    // SAFETY: the calls take static texts or numbers. The last one would make a process like `fork`;
    // should it be allowed, neither of the two goes on.
    let (file, name, output, child) = unsafe {
        (
            refused(libc::openat(libc::AT_FDCWD, c"/".as_ptr(), libc::O_RDONLY)),
            refused(libc::prctl(libc::PR_GET_DUMPABLE, 0, 0, 0, 0)),
            libc::write(libc::STDOUT_FILENO, [0u8].as_ptr().cast(), 1) < 0
                && Errno::last() == Errno::EPERM,
            libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0),
        )
    };
    refuse(&[
        (!file, "the filter lets files be opened"),
        (!name, "the filter lets a process change itself"),
        (!output, "the filter lets standard output be written"),
        (child >= 0, "the filter lets processes be made"),
    ])
}

fn refused(result: libc::c_int) -> bool {
    result < 0 && Errno::last() == Errno::EPERM
}

fn pid(number: libc::pid_t) -> nix::unistd::Pid {
    nix::unistd::Pid::from_raw(number)
}

fn scopes_signals(report: &Report) -> bool {
    /// The first version of Landlock with scopes. Some kernels claim it and do not keep it.
    const SCOPES: u32 = 7;
    matches!(report.state(Layer::Landlock), Some(State::On(_)))
        && super::landlock::claimed_abi() >= SCOPES
}

fn refuse(leaks: &[(bool, &'static str)]) -> Result<(), SandboxError> {
    match leaks.iter().find(|(leaks, _)| *leaks) {
        Some((_, leak)) => Err(SandboxError::Leak { leak }),
        None => Ok(()),
    }
}
