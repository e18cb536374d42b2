//! A wall clock of one's own: a library that a program is started with (`LD_PRELOAD`), whose wall clock is then
//! ahead of the machine's by as many seconds as a file says. The other clocks stay as they are.
//!
//! No namespace gives a process another wall clock, and to set the machine's would be everybody's trouble.

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};

use libc::{CLOCK_REALTIME, CLOCK_REALTIME_COARSE, MAP_FAILED, MAP_SHARED, PROT_READ};

/// Names the file: eight bytes, a number of seconds.
const FILE: &str = "MCP_E2E_CLOCK";
const FILE_BYTES: usize = size_of::<AtomicI64>();

/// Takes the place of the function of the C library.
///
/// # Safety
/// As for that one: the time can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(
    clock: libc::clockid_t,
    time: *mut libc::timespec,
) -> libc::c_int {
    // SAFETY: the caller says that the time can be written to; the kernel checks it.
    let failed = unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) };
    if failed != 0 {
        return -1;
    }
    if matches!(clock, CLOCK_REALTIME | CLOCK_REALTIME_COARSE) {
        // SAFETY: the kernel has just written to it.
        unsafe { (*time).tv_sec += ahead() };
    }
    0
}

/// How many seconds it is ahead now.
fn ahead() -> i64 {
    static AHEAD: OnceLock<Option<&'static AtomicI64>> = OnceLock::new();
    let ahead = AHEAD.get_or_init(|| shared(&File::open(std::env::var_os(FILE)?).ok()?));
    ahead.map_or(0, |ahead| ahead.load(Ordering::Relaxed))
}

/// The number in a file, as whoever writes to it last has left it.
fn shared(file: &File) -> Option<&'static AtomicI64> {
    // SAFETY: a mapping at a place that the kernel chooses takes nobody's.
    let mapped = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            FILE_BYTES,
            PROT_READ,
            MAP_SHARED,
            file.as_raw_fd(),
            0,
        )
    };
    // SAFETY: the mapping is never undone, has a page, and is only read.
    (mapped != MAP_FAILED).then(|| unsafe { &*mapped.cast::<AtomicI64>() })
}
