//! A system call for each alternative of each rule of the policy, with arguments that fulfil it and
//! do no harm. The probe makes them in the jail; the test compares them with the policy.

/// Where the calls are made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// The process.
    pub(crate) own: u64,
    /// A page of zeroes that may be read and written.
    pub(crate) page: u64,
}

/// What a call gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gives {
    /// Success: what it asked for, or what is pretended.
    Success,
    /// This error number.
    Errno(i32),
    /// The end of the process: by this signal, or with success.
    End(Option<i32>),
}
use Gives::{End, Errno, Success};

/// One call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RuleAct {
    /// The system call, as the policy names it.
    pub(crate) name: &'static str,
    /// Its number.
    pub(crate) number: libc::c_long,
    /// Its arguments.
    pub(crate) args: fn(Place) -> [u64; 6],
    /// What comes of it.
    pub(crate) gives: Gives,
}

macro_rules! acts {
    ($($(#[$when:meta])* $name:ident($number:ident) $args:expr => $gives:expr;)*) => {
        &[$($(#[$when])* RuleAct {
            name: stringify!($name),
            number: libc::$number,
            args: |place| filled(&($args as fn(Place) -> Vec<u64>)(place)),
            gives: $gives,
        }),*]
    };
}

fn filled(args: &[u64]) -> [u64; 6] {
    std::array::from_fn(|index| args.get(index).copied().unwrap_or(0))
}

fn nothing(_: Place) -> Vec<u64> {
    Vec::new()
}

const PAGE: u64 = 4096;
const READ: u64 = 1;
const WRITE: u64 = 2;
const ANONYMOUS: u64 = 0x22;
const FIXED: u64 = 0x10;
/// Where a second structure is.
const SECOND: u64 = 64;
const NO_FD: u64 = u64::MAX;
const REFUSED: Gives = Errno(libc::EPERM);

/// All of them.
pub(crate) const RULE_ACTS: &[RuleAct] = acts! {
    brk(SYS_brk) nothing => Success;
    munmap(SYS_munmap) |p| vec![p.page, PAGE] => Success;
    mmap(SYS_mmap) |_| vec![0, PAGE, READ | WRITE, ANONYMOUS, NO_FD] => Success;
    mmap(SYS_mmap) |p| vec![p.page, PAGE, 0, ANONYMOUS | FIXED, NO_FD] => Success;
    mprotect(SYS_mprotect) |p| vec![p.page, PAGE, READ | WRITE] => Success;
    mprotect(SYS_mprotect) |p| vec![p.page, PAGE, READ] => Success;
    #[cfg(target_arch = "x86_64")]
    pkey_mprotect(SYS_pkey_mprotect) |p| vec![p.page, PAGE, READ | WRITE, u64::MAX] => Success;
    #[cfg(target_arch = "x86_64")]
    pkey_mprotect(SYS_pkey_mprotect) |p| vec![p.page, PAGE, 0, u64::MAX] => Success;
    madvise(SYS_madvise) |p| vec![p.page, PAGE, 4] => Success;
    madvise(SYS_madvise) |p| vec![p.page, PAGE, 8] => Success;
    madvise(SYS_madvise) |p| vec![p.page, PAGE, 10] => Success;
    madvise(SYS_madvise) |p| vec![p.page, PAGE, 16] => Success;
    madvise(SYS_madvise) |p| vec![p.page, PAGE, 17] => Success;
    madvise(SYS_madvise) |p| vec![p.page, PAGE, 14] => REFUSED;
    mremap(SYS_mremap) |p| vec![p.page, PAGE, 2 * PAGE, 1] => REFUSED;
    getpid(SYS_getpid) nothing => Success;
    gettid(SYS_gettid) nothing => Success;
    restart_syscall(SYS_restart_syscall) nothing => Errno(libc::EINTR);
    exit_group(SYS_exit_group) nothing => End(None);
    rt_sigprocmask(SYS_rt_sigprocmask) |_| vec![0, 0, 0, 8] => Success;
    tgkill(SYS_tgkill) |p| vec![p.own, p.own, 6] => End(Some(libc::SIGABRT));
    futex(SYS_futex) |p| vec![p.page, 128, 1] => Errno(libc::EAGAIN);
    futex(SYS_futex) |p| vec![p.page, 128 | 1, 1] => Success;
    futex(SYS_futex) |p| vec![p.page, 128 | 9, 1, 0, 0, 1] => Errno(libc::EAGAIN);
    read(SYS_read) |p| vec![3, p.page, 0] => Success;
    pselect6(SYS_pselect6) |p| vec![4, 0, 0, 0, p.page] => Success;
    write(SYS_write) |p| vec![4, p.page, 0] => Success;
    write(SYS_write) |p| vec![2, p.page, 1] => Success;
    write(SYS_write) |p| vec![1, p.page, 1] => REFUSED;
    writev(SYS_writev) |p| vec![2, p.page, 1] => Success;
    clock_gettime(SYS_clock_gettime) |p| vec![7, p.page] => Success;
    gettimeofday(SYS_gettimeofday) |p| vec![p.page] => Success;
    #[cfg(target_arch = "x86_64")]
    time(SYS_time) |p| vec![p.page] => Success;
    clock_nanosleep(SYS_clock_nanosleep) |p| vec![0, 0, p.page] => Success;
    clock_nanosleep(SYS_clock_nanosleep) |p| vec![1, 0, p.page] => Success;
    getrandom(SYS_getrandom) |p| vec![p.page, 16, 0] => Success;
    getrandom(SYS_getrandom) |p| vec![p.page, 16, 1] => Success;
    getrandom(SYS_getrandom) |p| vec![p.page, 16, 4] => Success;
    prlimit64(SYS_prlimit64) |p| vec![0, 7, 0, p.page] => Success;
    prlimit64(SYS_prlimit64) |p| vec![0, 2, p.page, 0] => Success;
    prlimit64(SYS_prlimit64) |p| vec![0, 0, p.page + SECOND, 0] => Success;
    #[cfg(target_arch = "x86_64")]
    open(SYS_open) nothing => REFUSED;
    #[cfg(target_arch = "x86_64")]
    stat(SYS_stat) nothing => REFUSED;
    #[cfg(target_arch = "x86_64")]
    lstat(SYS_lstat) nothing => REFUSED;
    #[cfg(target_arch = "x86_64")]
    access(SYS_access) nothing => REFUSED;
    #[cfg(target_arch = "x86_64")]
    readlink(SYS_readlink) nothing => REFUSED;
    openat(SYS_openat) nothing => REFUSED;
    newfstatat(SYS_newfstatat) nothing => REFUSED;
    fstat(SYS_fstat) |p| vec![3, p.page] => REFUSED;
    statx(SYS_statx) nothing => REFUSED;
    faccessat(SYS_faccessat) nothing => REFUSED;
    faccessat2(SYS_faccessat2) nothing => REFUSED;
    readlinkat(SYS_readlinkat) nothing => REFUSED;
    getcwd(SYS_getcwd) |p| vec![p.page, PAGE] => REFUSED;
    close(SYS_close) |_| vec![3] => REFUSED;
    fcntl(SYS_fcntl) |_| vec![3, 1] => REFUSED;
    lseek(SYS_lseek) |_| vec![3] => REFUSED;
    ioctl(SYS_ioctl) |_| vec![3] => REFUSED;
    prctl(SYS_prctl) |_| vec![3] => REFUSED;
    sched_getaffinity(SYS_sched_getaffinity) |p| vec![0, 128, p.page] => REFUSED;
    sysinfo(SYS_sysinfo) |p| vec![p.page] => REFUSED;
    clock_getres(SYS_clock_getres) |p| vec![0, p.page] => REFUSED;
    rt_sigaction(SYS_rt_sigaction) |_| vec![10, 0, 0, 8] => REFUSED;
    pkey_alloc(SYS_pkey_alloc) nothing => REFUSED;
    clone3(SYS_clone3) nothing => REFUSED;
    clone(SYS_clone) |_| vec![17] => REFUSED;
};
