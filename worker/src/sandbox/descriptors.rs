//! Which descriptors a worker has: nothing to read, nothing to write, its last words, and two pipes.

use std::os::fd::RawFd;

use nix::errno::Errno;

/// Where a worker reads what its supervisor says.
pub const INPUT_FD: RawFd = 3;
/// Where a worker writes what it says.
pub const OUTPUT_FD: RawFd = 4;

/// Where an executed worker finds its heap window, if it keeps heaps. It is mapped and closed before the
/// jail is shut.
pub const WINDOW_FD: RawFd = 5;

/// Where a worker or a fork server finds the file of preloaded WebAssembly modules, if there are any. It
/// is mapped and closed first of all.
pub const MODULES_FD: RawFd = 6;

/// Descriptors are moved here or above while they are put into their places: no higher than it has to
/// be, for a system may allow few.
const ASIDE_FD: RawFd = OUTPUT_FD + 1;

/// Where a worker's descriptors are before it is confined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptors {
    /// The pipe from the supervisor; becomes [`INPUT_FD`].
    pub input: RawFd,
    /// The pipe to the supervisor; becomes [`OUTPUT_FD`].
    pub output: RawFd,
    /// Where last words go; becomes descriptor 2. `None` leaves that as it is.
    pub stderr: Option<RawFd>,
}

impl Descriptors {
    /// All in their places already.
    pub const IN_PLACE: Self = Self {
        input: INPUT_FD,
        output: OUTPUT_FD,
        stderr: None,
    };
}

/// Puts the descriptors into their places and closes all others. Standard input and output stay only
/// if they are the null device.
pub(super) fn arrange(descriptors: &Descriptors) -> Result<(), Errno> {
    let wanted = [
        (Some(descriptors.input), INPUT_FD),
        (Some(descriptors.output), OUTPUT_FD),
        (descriptors.stderr, libc::STDERR_FILENO),
    ];
    let mut aside = [None; 3];
    for ((from, _), aside) in wanted.iter().zip(&mut aside) {
        if let Some(from) = from {
            // SAFETY: copies a descriptor; fails when there is none.
            *aside = Some(Errno::result(unsafe {
                libc::fcntl(*from, libc::F_DUPFD_CLOEXEC, ASIDE_FD)
            })?);
        }
    }
    for ((_, to), aside) in wanted.iter().zip(aside) {
        if let Some(aside) = aside {
            // SAFETY: what is at `to` is not used by this program from here on, or is `from` itself.
            Errno::result(unsafe { libc::dup2(aside, *to) })?;
        }
    }
    for standard in [libc::STDIN_FILENO, libc::STDOUT_FILENO] {
        if !is_null_device(standard) {
            // SAFETY: nothing in a worker uses it.
            unsafe { libc::close(standard) };
        }
    }
    let first = OUTPUT_FD + 1;
    // SAFETY: closes what is not on the list; nothing uses those any more.
    Errno::result(unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_int::MAX, 0) })
        .map(drop)
}

fn is_null_device(fd: RawFd) -> bool {
    let mut stat = std::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: fills the structure, or fails.
    if unsafe { libc::fstat(fd, stat.as_mut_ptr()) } != 0 {
        return false;
    }
    // SAFETY: it was filled.
    let stat = unsafe { stat.assume_init() };
    stat.st_mode & libc::S_IFMT == libc::S_IFCHR && stat.st_rdev == libc::makedev(1, 3)
}

/// Sets every signal back to its default action, unblocked. A handler would need system calls that
/// the filter refuses, and would then be entered again and again.
pub(super) fn forget_signals() -> Result<(), Errno> {
    for signal in 1..=libc::SIGRTMAX() {
        // The C library keeps two for itself, and two cannot be handled.
        // SAFETY: the default action runs no code of this program.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    nix::sys::signal::SigSet::empty().thread_set_mask()
}
