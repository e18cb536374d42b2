//! Tries what must fail, and reads back what was set: before the filter is there to answer for
//! everything, and after.
//!
//! The walls are tried while descriptors can still be had: without any, all of it would fail, whatever
//! the walls hold.

use std::ffi::CStr;
use std::os::fd::RawFd;

use nix::errno::Errno;
use nix::sys::signal::Signal;

use super::SandboxError;
use super::capabilities;
use super::descriptors::INPUT_FD;
use super::report::{Layer, Report, State};

/// What every system has, some of it at least.
const PLACES: [&CStr; 6] = [c"/dev", c"/etc", c"/proc", c"/sys", c"/tmp", c"/usr"];

/// A name that no system has.
const NEW_PLACE: &CStr = c"/mcp-v8-was-here";

/// A port that datagrams are sent to, in vain: the one to discard them.
const DISCARD_PORT: u16 = 9;

/// What the walls that are said to be there hold, tried one by one. (Landlock has tried itself, and is
/// not there if it was in vain.)
pub(super) fn of_walls(report: &Report) -> Result<(), SandboxError> {
    let root = report.is_on(Layer::MountNamespace);
    let network = report.is_on(Layer::NetworkNamespace);
    let landlock = report.is_on(Layer::Landlock);
    refuse(&[
        (
            root && PLACES.into_iter().any(exists),
            "the root directory is not empty",
        ),
        (
            (root || landlock) && can_make(NEW_PLACE),
            "the root directory can be written",
        ),
        (
            network && this_machine_can_be_reached(),
            "the network leads somewhere",
        ),
    ])
}

fn exists(place: &CStr) -> bool {
    // SAFETY: the text ends.
    unsafe { libc::access(place.as_ptr(), libc::F_OK) == 0 }
}

/// Whether a directory can be made; it is taken away again.
fn can_make(place: &CStr) -> bool {
    // SAFETY: the text ends.
    unsafe { libc::mkdir(place.as_ptr(), 0) == 0 && libc::rmdir(place.as_ptr()) == 0 }
}

/// Whether there is a way to the address that every machine has. Nothing is sent.
fn this_machine_can_be_reached() -> bool {
    let address = libc::sockaddr_in {
        sin_family: libc::sa_family_t::try_from(libc::AF_INET).unwrap_or_default(),
        sin_port: DISCARD_PORT.to_be(),
        sin_addr: libc::in_addr {
            s_addr: u32::from(std::net::Ipv4Addr::LOCALHOST).to_be(),
        },
        sin_zero: [0; 8],
    };
    let length = libc::socklen_t::try_from(size_of_val(&address)).unwrap_or_default();
    // SAFETY: integers only.
    let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    if socket < 0 {
        return false;
    }
    // SAFETY: the address is of this length; the descriptor was just made, and nothing else knows it.
    unsafe {
        let connected = libc::connect(socket, (&raw const address).cast(), length);
        libc::close(socket);
        connected == 0
    }
}

/// Everything but the filter, after all changes of credentials: those reset some of it.
pub(super) fn before_filter(report: &Report) -> Result<(), SandboxError> {
    // SAFETY: none of these takes a pointer that is not a static text.
    let (file, socket, copy, parent, privileges, dumpable) = unsafe {
        (
            libc::open(c"/".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC),
            libc::socket(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0),
            libc::fcntl(INPUT_FD, libc::F_DUPFD_CLOEXEC, 0),
            libc::getppid(),
            libc::prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0),
            libc::prctl(libc::PR_GET_DUMPABLE, 0, 0, 0, 0),
        )
    };
    let is_open = |fd: RawFd| fd >= 0;
    let death = nix::sys::prctl::get_pdeathsig().ok().flatten();
    // From within a process namespace of its own a worker has no parent; from within a domain that
    // scopes signals it cannot reach it.
    let is_apart = report.is_on(Layer::PidNamespace) || scopes_signals(report);
    let reaches_parent = parent > 0 && super::landlock::can_signal(parent);
    refuse(&[
        (is_open(file), "a directory can be opened"),
        (is_open(socket), "a socket can be made"),
        (is_open(copy), "a descriptor can be copied"),
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

/// Whether signals are known to end at the domain's border. Kernels that claim the version before may
/// have no scope of signals (`landlock::FIRST_WITH_SCOPES`): there it is told, and that is all.
fn scopes_signals(report: &Report) -> bool {
    matches!(report.state(Layer::Landlock), Some(State::On(_)))
        && super::landlock::claimed_abi() > super::landlock::FIRST_WITH_SCOPES
}

fn refuse(leaks: &[(bool, &'static str)]) -> Result<(), SandboxError> {
    match leaks.iter().find(|(leaks, _)| *leaks) {
        Some((_, leak)) => Err(SandboxError::Leak { leak }),
        None => Ok(()),
    }
}
