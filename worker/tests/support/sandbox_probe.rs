//! Takes the jail of a worker, then does one thing that a jailed process must not be able to do, in
//! the way of machine code: by raw system calls.
//!
//! `sandbox_probe [environment...] act`, where an act is a name, or the index of a rule's call: reads nothing, has the pipes of a worker as its standard
//! input and output, and writes `ok N`, `errno N` or `refused ...` to the latter, unless it dies.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::io::Write as _;

use mcp_v8_protocol::limits::WORKER_STACK_BYTES;
use mcp_v8_protocol::message::{ExecutionLimits, FromWorker, HeapUse};
use mcp_v8_worker::conversation::ConversationError;
use mcp_v8_worker::runtime::{Host, Outcome, Realm};
use mcp_v8_worker::sandbox::{self, Asked, Descriptors, Layer, Mode, Plan, Report, Way};
use mcp_v8_worker::tier::EngineTier;

#[allow(dead_code, reason = "what a call gives is for the test to know")]
#[path = "rule_acts.rs"]
mod rule_acts;
use rule_acts::{Place, RULE_ACTS};

type Act = fn(&Before) -> i64;

/// How the jail is taken: whole, or all of it but the filters.
type Enter = fn(&Plan, &Descriptors, &mut Report) -> std::result::Result<(), sandbox::SandboxError>;

/// What a hostile process would have found out before.
struct Before {
    /// Its parent, by the number that those outside know it by.
    parent: i64,
    own: i64,
    page: *mut libc::c_void,
    /// Whom or what it is to reach: a process id, a port, a name.
    target: String,
}

/// A system call. Each argument is a whole register: of a narrower one the upper half would be chance.
macro_rules! call {
    ($number:expr $(, $arg:expr)*) => {
        // SAFETY: the point of this program: whatever it does to itself is what is tested.
        unsafe { libc::syscall($number as libc::c_long $(, $arg as libc::c_long)*) }
    };
}

#[path = "deprive.rs"]
mod deprive;
mod walls;
use deprive::deprive;

const PATH: &std::ffi::CStr = c"/etc/passwd";
const HERE: i32 = libc::AT_FDCWD;
const NULL: i64 = 0;
const PAGE: usize = 4096;
const RW: i32 = libc::PROT_READ | libc::PROT_WRITE;
const ANON: i32 = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;

fn map(protection: i32, flags: i32, fd: i32) -> i64 {
    call!(libc::SYS_mmap, NULL, PAGE, protection, flags, fd, 0)
}

/// Name and act, in the order of the tests' table.
const ACTS: &[(&str, Act)] = &[
    ("openat", |_| {
        call!(libc::SYS_openat, HERE, PATH.as_ptr(), 0)
    }),
    ("openat-path", |_| {
        call!(libc::SYS_openat, HERE, PATH.as_ptr(), libc::O_PATH)
    }),
    ("openat-memory", |_| {
        call!(libc::SYS_openat, HERE, c"/proc/self/mem".as_ptr(), 2)
    }),
    ("openat-root", |_| {
        call!(libc::SYS_openat, HERE, c"/".as_ptr(), 0)
    }),
    ("openat-environ", |_| {
        call!(libc::SYS_openat, HERE, c"/proc/1/environ".as_ptr(), 0)
    }),
    ("openat2", |_| {
        call!(
            libc::SYS_openat2,
            HERE,
            PATH.as_ptr(),
            [0u64; 3].as_ptr(),
            24
        )
    }),
    ("name_to_handle_at", |_| {
        let mut handle = [128_u32, 0].repeat(20);
        let mut mount = 0_i32;
        call!(
            libc::SYS_name_to_handle_at,
            HERE,
            PATH.as_ptr(),
            handle.as_mut_ptr(),
            &raw mut mount,
            0
        )
    }),
    ("open_by_handle_at", |_| {
        let handle = [8_u32, 1, 0, 0];
        call!(libc::SYS_open_by_handle_at, HERE, handle.as_ptr(), 0)
    }),
    ("fsopen", |_| call!(libc::SYS_fsopen, c"tmpfs".as_ptr(), 0)),
    ("open_tree", |_| {
        call!(libc::SYS_open_tree, HERE, c"/".as_ptr(), 0)
    }),
    ("statx", |b| {
        call!(libc::SYS_statx, HERE, PATH.as_ptr(), 0, 0, b.page)
    }),
    ("statx-missing", |b| {
        call!(
            libc::SYS_statx,
            HERE,
            c"/nothing/here".as_ptr(),
            0,
            0,
            b.page
        )
    }),
    ("faccessat", |_| {
        call!(libc::SYS_faccessat, HERE, PATH.as_ptr(), 0)
    }),
    ("faccessat-missing", |_| {
        call!(libc::SYS_faccessat, HERE, c"/nothing/here".as_ptr(), 0)
    }),
    ("readlinkat", |b| {
        call!(
            libc::SYS_readlinkat,
            HERE,
            c"/proc/self".as_ptr(),
            b.page,
            64
        )
    }),
    ("chdir", |_| call!(libc::SYS_chdir, c"/".as_ptr())),
    ("chroot", |_| call!(libc::SYS_chroot, c"/".as_ptr())),
    ("unlinkat", |_| {
        call!(libc::SYS_unlinkat, HERE, PATH.as_ptr(), 0)
    }),
    ("fchmodat", |_| {
        call!(libc::SYS_fchmodat, HERE, PATH.as_ptr(), 0)
    }),
    ("socket-inet", |_| {
        call!(libc::SYS_socket, libc::AF_INET, libc::SOCK_STREAM, 0)
    }),
    ("socket-inet6", |_| {
        call!(libc::SYS_socket, libc::AF_INET6, libc::SOCK_DGRAM, 0)
    }),
    ("socket-unix", |_| {
        call!(libc::SYS_socket, libc::AF_UNIX, libc::SOCK_STREAM, 0)
    }),
    ("socket-netlink", |_| {
        call!(libc::SYS_socket, libc::AF_NETLINK, libc::SOCK_RAW, 0)
    }),
    ("socket-packet", |_| {
        call!(libc::SYS_socket, libc::AF_PACKET, libc::SOCK_RAW, 0)
    }),
    ("socket-vsock", |_| {
        call!(libc::SYS_socket, libc::AF_VSOCK, libc::SOCK_STREAM, 0)
    }),
    ("socket-alg", |_| {
        call!(libc::SYS_socket, libc::AF_ALG, libc::SOCK_SEQPACKET, 0)
    }),
    ("socketpair", |_| {
        let mut pair = [0_i32; 2];
        call!(
            libc::SYS_socketpair,
            libc::AF_UNIX,
            libc::SOCK_STREAM,
            0,
            pair.as_mut_ptr()
        )
    }),
    ("connect", |_| call!(libc::SYS_connect, 3, NULL, 0)),
    ("bind", |_| call!(libc::SYS_bind, 3, NULL, 0)),
    ("sendmsg", |_| call!(libc::SYS_sendmsg, 4, NULL, 0)),
    ("recvmsg", |_| call!(libc::SYS_recvmsg, 3, NULL, 0)),
    ("execve", |_| {
        call!(libc::SYS_execve, c"/bin/true".as_ptr(), NULL, NULL)
    }),
    ("execveat", |_| {
        call!(
            libc::SYS_execveat,
            3,
            c"".as_ptr(),
            NULL,
            NULL,
            libc::AT_EMPTY_PATH
        )
    }),
    ("memfd_create", |_| {
        call!(libc::SYS_memfd_create, c"x".as_ptr(), 0)
    }),
    ("memfd_secret", |_| call!(libc::SYS_memfd_secret, 0)),
    ("clone-fork", |_| {
        call!(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0)
    }),
    ("clone-vfork", |_| {
        call!(
            libc::SYS_clone,
            libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD,
            0,
            0,
            0,
            0
        )
    }),
    ("clone-namespace", |_| {
        call!(
            libc::SYS_clone,
            libc::CLONE_NEWUSER | libc::SIGCHLD,
            0,
            0,
            0,
            0
        )
    }),
    ("clone3", |_| {
        call!(libc::SYS_clone3, [0u64; 11].as_ptr(), 88)
    }),
    ("fork-bomb", |_| {
        (0..100_000)
            .map(|_| call!(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0))
            .max()
            .unwrap_or(0)
    }),
    ("thread", |_| {
        match std::thread::Builder::new().spawn(|| {}) {
            Ok(_) => 0,
            Err(_) => {
                call!(libc::SYS_clone, libc::CLONE_VM, 0, 0, 0, 0)
            }
        }
    }),
    ("kill-parent", |before| {
        call!(libc::SYS_kill, before.parent, libc::SIGCONT)
    }),
    ("kill-all", |_| call!(libc::SYS_kill, -1, libc::SIGCONT)),
    ("tgkill-parent", |before| {
        call!(
            libc::SYS_tgkill,
            before.parent,
            before.parent,
            libc::SIGABRT
        )
    }),
    ("tgkill-other-signal", |before| {
        call!(libc::SYS_tgkill, before.own, before.own, libc::SIGKILL)
    }),
    ("tkill", |before| {
        call!(libc::SYS_tkill, before.parent, libc::SIGCONT)
    }),
    ("rt_sigqueueinfo", |before| {
        call!(
            libc::SYS_rt_sigqueueinfo,
            before.parent,
            libc::SIGCONT,
            NULL
        )
    }),
    ("pidfd_open", |before| {
        call!(libc::SYS_pidfd_open, before.parent, 0)
    }),
    ("pidfd_send_signal", |_| {
        call!(libc::SYS_pidfd_send_signal, 3, libc::SIGCONT, NULL, 0)
    }),
    ("pidfd_getfd", |_| call!(libc::SYS_pidfd_getfd, 3, 0, 0)),
    ("ptrace", |before| {
        call!(
            libc::SYS_ptrace,
            libc::PTRACE_ATTACH,
            before.parent,
            NULL,
            NULL
        )
    }),
    ("process_vm_readv", |before| {
        call!(
            libc::SYS_process_vm_readv,
            before.parent,
            NULL,
            0,
            NULL,
            0,
            0
        )
    }),
    ("process_vm_writev", |before| {
        call!(
            libc::SYS_process_vm_writev,
            before.parent,
            NULL,
            0,
            NULL,
            0,
            0
        )
    }),
    ("process_madvise", |_| {
        call!(libc::SYS_process_madvise, 3, NULL, 0, 0, 0)
    }),
    ("kcmp", |before| {
        call!(libc::SYS_kcmp, before.own, before.parent, 0, 0, 0)
    }),
    ("io_uring_setup", |_| {
        call!(libc::SYS_io_uring_setup, 1, NULL)
    }),
    ("io_uring_setup-registered", |_| io_uring()),
    ("io_uring_enter", |_| {
        call!(libc::SYS_io_uring_enter, 3, 0, 0, 0, NULL, 0)
    }),
    ("io_uring_register", |_| {
        call!(libc::SYS_io_uring_register, 3, 0, NULL, 0)
    }),
    ("userfaultfd", |_| call!(libc::SYS_userfaultfd, 0)),
    ("bpf", |_| call!(libc::SYS_bpf, 0, NULL, 0)),
    ("perf_event_open", |_| {
        call!(libc::SYS_perf_event_open, NULL, 0, -1, -1, 0)
    }),
    ("keyctl", |_| call!(libc::SYS_keyctl, 0, -3, 0, 0, 0)),
    ("add_key", |_| {
        call!(libc::SYS_add_key, NULL, NULL, NULL, 0, -3)
    }),
    ("request_key", |_| {
        call!(libc::SYS_request_key, NULL, NULL, NULL, -3)
    }),
    ("unshare", |_| call!(libc::SYS_unshare, libc::CLONE_NEWUSER)),
    ("setns", |_| call!(libc::SYS_setns, 3, 0)),
    ("mount", |_| {
        call!(
            libc::SYS_mount,
            NULL,
            c"/".as_ptr(),
            NULL,
            libc::MS_REMOUNT,
            NULL
        )
    }),
    ("umount2", |_| {
        call!(libc::SYS_umount2, c"/".as_ptr(), libc::MNT_DETACH)
    }),
    ("pivot_root", |_| {
        call!(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr())
    }),
    ("mount_setattr", |_| {
        call!(libc::SYS_mount_setattr, HERE, c"/".as_ptr(), 0, NULL, 0)
    }),
    ("setresuid", |_| call!(libc::SYS_setresuid, 0, 0, 0)),
    ("setresgid", |_| call!(libc::SYS_setresgid, 0, 0, 0)),
    ("capset", |_| {
        let header = [0x2008_0522_u32, 0];
        let all = [u32::MAX; 6];
        call!(libc::SYS_capset, header.as_ptr(), all.as_ptr())
    }),
    ("prctl-ambient", |_| {
        call!(libc::SYS_prctl, libc::PR_CAP_AMBIENT, 2, 0, 0, 0)
    }),
    ("prctl-dumpable", |_| {
        call!(libc::SYS_prctl, libc::PR_SET_DUMPABLE, 1, 0, 0, 0)
    }),
    ("prctl-pdeathsig", |_| {
        call!(libc::SYS_prctl, libc::PR_SET_PDEATHSIG, 0, 0, 0, 0)
    }),
    ("seccomp", |_| call!(libc::SYS_seccomp, 1, 0, NULL)),
    ("landlock_create_ruleset", |_| {
        call!(libc::SYS_landlock_create_ruleset, NULL, 0, 1)
    }),
    ("landlock_restrict_self", |_| {
        call!(libc::SYS_landlock_restrict_self, 3, 0)
    }),
    ("number-minus-one", |_| call!(-1)),
    ("number-10000", |_| call!(10_000)),
    ("number-x32", |before| {
        call!(0x4000_0000 | libc::SYS_getpid, before.own)
    }),
    ("entry-i386", |_| i386()),
    ("mmap-shared", |_| {
        map(RW, libc::MAP_SHARED | libc::MAP_ANONYMOUS, -1)
    }),
    ("mmap-growsdown", |_| {
        map(RW, ANON | libc::MAP_GROWSDOWN, -1)
    }),
    ("mmap-hugetlb", |_| map(RW, ANON | libc::MAP_HUGETLB, -1)),
    ("mmap-locked", |_| map(RW, ANON | libc::MAP_LOCKED, -1)),
    ("mmap-populate", |_| map(RW, ANON | libc::MAP_POPULATE, -1)),
    ("mmap-file", |_| map(RW, libc::MAP_PRIVATE, 3)),
    ("mmap-in-place", |b| {
        call!(
            libc::SYS_mmap,
            b.page,
            PAGE,
            RW,
            ANON | libc::MAP_FIXED,
            -1,
            0
        )
    }),
    ("mprotect-execute-only", |b| {
        let protection = libc::PROT_READ | libc::PROT_EXEC;
        call!(libc::SYS_mprotect, b.page, PAGE, protection)
    }),
    ("mremap", |b| {
        call!(
            libc::SYS_mremap,
            b.page,
            PAGE,
            2 * PAGE,
            libc::MREMAP_MAYMOVE
        )
    }),
    ("stack-beyond", |_| stack_beyond()),
    ("stack-in-pieces", |_| stack_in_pieces()),
    ("fill", |_| fill()),
    ("mprotect-growsdown", |b| {
        call!(libc::SYS_mprotect, b.page, PAGE, RW | libc::PROT_GROWSDOWN)
    }),
    ("madvise-mergeable", |b| {
        call!(libc::SYS_madvise, b.page, PAGE, libc::MADV_MERGEABLE)
    }),
    ("madvise-hwpoison", |b| {
        call!(libc::SYS_madvise, b.page, PAGE, libc::MADV_HWPOISON)
    }),
    ("madvise-dofork", |b| {
        call!(libc::SYS_madvise, b.page, PAGE, libc::MADV_DOFORK)
    }),
    ("mlock", |b| call!(libc::SYS_mlock, b.page, PAGE)),
    ("remap_file_pages", |b| {
        call!(libc::SYS_remap_file_pages, b.page, PAGE, 0, 0, 0)
    }),
    ("futex-lock-pi", |b| {
        call!(
            libc::SYS_futex,
            b.page,
            libc::FUTEX_LOCK_PI,
            0,
            NULL,
            NULL,
            0
        )
    }),
    ("futex-requeue-pi", |b| {
        call!(
            libc::SYS_futex,
            b.page,
            libc::FUTEX_CMP_REQUEUE_PI,
            0,
            NULL,
            NULL,
            0
        )
    }),
    ("futex_waitv", |_| {
        call!(libc::SYS_futex_waitv, NULL, 0, 0, NULL, 0)
    }),
    ("clock-of-process", |b| {
        call!(libc::SYS_clock_gettime, (!b.parent << 3) | 2, b.page)
    }),
    ("clock-of-descriptor", |b| {
        call!(libc::SYS_clock_gettime, (!3_i64 << 3) | 3, b.page)
    }),
    ("timer_create", |_| {
        call!(libc::SYS_timer_create, 0, NULL, NULL)
    }),
    ("setitimer", |_| call!(libc::SYS_setitimer, 0, NULL, NULL)),
    ("getrandom-blocking-pool", |b| {
        call!(libc::SYS_getrandom, b.page, 16, libc::GRND_RANDOM)
    }),
    ("write-input", |_| call!(libc::SYS_write, 3, NULL, 0)),
    ("write-standard-output", |_| {
        call!(libc::SYS_write, 1, NULL, 0)
    }),
    ("write-elsewhere", |_| call!(libc::SYS_write, 5, NULL, 0)),
    ("write-far", |_| call!(libc::SYS_write, 1023, NULL, 0)),
    ("writev-output", |_| call!(libc::SYS_writev, 4, NULL, 0)),
    ("read-output", |_| call!(libc::SYS_read, 4, NULL, 0)),
    ("read-standard-input", |_| call!(libc::SYS_read, 0, NULL, 0)),
    ("pread64", |_| call!(libc::SYS_pread64, 3, NULL, 0, 0)),
    ("dup", |_| call!(libc::SYS_dup, 3)),
    ("dup3", |_| call!(libc::SYS_dup3, 3, 9, 0)),
    ("fcntl-setsig", |_| {
        call!(libc::SYS_fcntl, 3, 10, libc::SIGKILL)
    }),
    ("fcntl-setown", |before| {
        call!(libc::SYS_fcntl, 3, libc::F_SETOWN, before.parent)
    }),
    ("fcntl-setpipe", |_| {
        call!(libc::SYS_fcntl, 4, libc::F_SETPIPE_SZ, 1 << 20)
    }),
    ("splice", |_| {
        call!(libc::SYS_splice, 3, NULL, 4, NULL, 1, 0)
    }),
    ("tee", |_| call!(libc::SYS_tee, 3, 4, 1, 0)),
    ("vmsplice", |_| call!(libc::SYS_vmsplice, 4, NULL, 0, 0)),
    ("ioctl-tty", |_| {
        call!(libc::SYS_ioctl, 0, libc::TIOCSTI, NULL)
    }),
    ("shmget", |_| {
        let id = call!(libc::SYS_shmget, 0, PAGE, 0o600);
        // It would outlive this process.
        if id < 0 {
            id
        } else {
            call!(libc::SYS_shmctl, id, libc::IPC_RMID, NULL)
        }
    }),
    ("msgget", |_| {
        let id = call!(libc::SYS_msgget, 0, 0o600);
        if id < 0 {
            id
        } else {
            call!(libc::SYS_msgctl, id, libc::IPC_RMID, NULL)
        }
    }),
    ("mq_open", |_| {
        call!(libc::SYS_mq_open, c"/x".as_ptr(), 0, 0, NULL)
    }),
    ("personality", |_| call!(libc::SYS_personality, 0x0004_0000)),
    ("epoll_create1", |_| call!(libc::SYS_epoll_create1, 0)),
    ("eventfd2", |_| call!(libc::SYS_eventfd2, 0, 0)),
    ("poll", |_| call!(libc::SYS_ppoll, NULL, 0, NULL, NULL, 0)),
    ("sched_setaffinity", |_| {
        call!(libc::SYS_sched_setaffinity, 0, 0, NULL)
    }),
    ("setpriority", |before| {
        call!(libc::SYS_setpriority, 0, before.parent, 19)
    }),
    ("prlimit-of-parent", |before| {
        call!(libc::SYS_prlimit64, before.parent, 7, NULL, NULL)
    }),
    ("prlimit-descriptors", |b| {
        call!(libc::SYS_prlimit64, 0, libc::RLIMIT_NOFILE, b.page, NULL)
    }),
    ("prlimit-raise-cpu", |before| {
        raise(libc::RLIMIT_CPU, before)
    }),
    ("prlimit-raise-data", |before| {
        raise(libc::RLIMIT_DATA, before)
    }),
    ("reboot", |_| call!(libc::SYS_reboot, 0, 0, 0, NULL)),
    ("page-tables", |_| page_tables()),
    ("page-tables-held", hold_page_tables),
    // What a worker lives on.
    ("can-map", |_| map(RW, ANON, -1).min(0)),
    ("can-map-executable", |_| {
        map(RW | libc::PROT_EXEC, ANON | libc::MAP_NORESERVE, -1).min(0)
    }),
    ("can-make-executable", |b| {
        call!(libc::SYS_mprotect, b.page, PAGE, RW | libc::PROT_EXEC)
    }),
    ("pretended", |b| {
        let took = call!(libc::SYS_mprotect, b.page, PAGE, libc::PROT_NONE);
        // SAFETY: the page is this process's, and was mapped to be written.
        unsafe { b.page.cast::<u8>().write_volatile(1) };
        took
    }),
    ("can-advise", |b| {
        call!(libc::SYS_madvise, b.page, PAGE, libc::MADV_DONTNEED)
    }),
    ("can-sleep", |b| {
        call!(
            libc::SYS_clock_nanosleep,
            libc::CLOCK_MONOTONIC,
            0,
            b.page,
            NULL
        )
    }),
    ("can-tell-time", |b| {
        call!(
            libc::SYS_clock_gettime,
            libc::CLOCK_PROCESS_CPUTIME_ID,
            b.page
        )
    }),
    ("can-draw", |b| {
        call!(libc::SYS_getrandom, b.page, 16, 0) - 16
    }),
    ("can-wake", |b| {
        call!(
            libc::SYS_futex,
            b.page,
            libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG,
            1,
            NULL,
            NULL,
            0
        )
    }),
    ("can-complain", |_| {
        call!(libc::SYS_write, 2, c"x".as_ptr(), 1) - 1
    }),
    ("can-abort", |_| std::process::abort()),
    ("can-keep-a-heap", |_| keep_heap()),
    ("null", |_| null()),
    ("null-when-short", |_| {
        tighten();
        fill_data();
        null()
    }),
    ("abort-when-short", |_| {
        tighten();
        fill_data();
        std::process::abort()
    }),
];

/// The limits of an execution.
const LIMITS: ExecutionLimits = ExecutionLimits {
    heap_bytes: 8 << 20,
    buffer_bytes: 8 << 20,
    cpu_seconds: 60,
    snapshot_bytes: 0,
};

/// V8 is there before the jail is taken; the isolate of a heap is made in it.
const CAN_KEEP_A_HEAP: &str = "can-keep-a-heap";

struct Silent;

impl Host for Silent {
    fn console(&mut self, _text: &str) {}
    fn finished(&mut self, _message: &FromWorker) -> Result<(), ConversationError> {
        Ok(())
    }
    fn heap_limit_reached(&mut self) -> ! {
        std::process::abort()
    }
}

/// Runs a script on a new heap, stores it, and runs another on what was stored; 0 when all is well.
fn keep_heap() -> i64 {
    tighten();
    let mut heap = None;
    for source in [
        "const add = [0, 97, 115, 109, 1, 0, 0, 0, 1, 7, 1, 96, 2, 127, 127, 1, 127, 3, 2, 1, 0, 7, 7, 1, 3, 97, \
           100, 100, 0, 0, 10, 9, 1, 7, 0, 32, 0, 32, 1, 106, 11];
         const { module, instance } = await WebAssembly.instantiate(new Uint8Array(add));
         const kept = [new URL('http://a.b/'), /x/g, new Map([[1n, new Float64Array(1000)]])];
         for (let i = 0; i < 300000; i++) kept[3] = [i, String(i)];
         await new Promise((resolve) => setTimeout(resolve, 1));
         instance.exports.add(2, 3)",
        "new WebAssembly.Instance(module).exports.add(kept[3][0], Temporal.PlainDate.from('2024-01-01').day) - 299995",
    ] {
        let mut realm = Realm::for_heap(heap.take());
        let outcome = realm.run(source, &LIMITS, Box::new(Silent));
        let Outcome::Completed { result, .. } = outcome else {
            return 2;
        };
        drop(realm.take_host());
        match realm.into_snapshot() {
            Ok(snapshot) if result == "5" => heap = Some(snapshot),
            Ok(_) | Err(_) => return 3,
        }
    }
    0
}

fn tighten() {
    sandbox::tighten(&LIMITS, HeapUse::Discard).unwrap();
}

/// Writes where nothing is, as ICU does with what was not allocated.
fn null() -> i64 {
    let nowhere: *mut u8 = std::ptr::without_provenance_mut(std::hint::black_box(8));
    // SAFETY: the point of this program: it ends here.
    unsafe { nowhere.write_volatile(1) };
    0
}

fn at(address: i64) -> *mut u8 {
    std::ptr::with_exposed_provenance_mut(usize::try_from(address).unwrap_or(0))
}

/// Writes to each page.
fn touch(start: *mut u8, bytes: usize) {
    for offset in (0..bytes).step_by(PAGE) {
        // SAFETY: the caller has mapped it, and nothing else lies there.
        unsafe { start.wrapping_add(offset).write_volatile(1) };
    }
}

/// Maps and touches until the kernel refuses a page.
fn fill_data() {
    let mut bytes = 64 << 20;
    while bytes >= PAGE {
        let start = call!(libc::SYS_mmap, NULL, bytes, RW, ANON, -1, 0);
        if start < 0 {
            bytes /= 2;
            continue;
        }
        touch(at(start), bytes);
        // Were this done, the pages would stay, and count no more.
        call!(libc::SYS_mprotect, start, bytes, libc::PROT_READ);
    }
}

/// The end of the stack that `sandbox` has fixed, and one page of it.
fn stack_end() -> *mut u8 {
    let here = 0_u8;
    let used = 1 << 20;
    let depth = usize::try_from(WORKER_STACK_BYTES).unwrap() - used;
    let address = (&raw const here).expose_provenance() & !(PAGE - 1);
    std::ptr::with_exposed_provenance_mut(address - depth + used)
}

/// Below the whole stack: it must not grow.
fn stack_beyond() -> i64 {
    let depth = usize::try_from(WORKER_STACK_BYTES).unwrap();
    touch(stack_end().wrapping_sub(depth / 2), PAGE);
    0
}

/// Cuts the stack into pieces and tries to let the upper end of the gap grow into it.
fn stack_in_pieces() -> i64 {
    let cut = stack_end();
    if call!(libc::SYS_munmap, cut, 4 << 20) != 0 {
        return 1;
    }
    touch(cut.wrapping_add((4 << 20) - PAGE), PAGE);
    0
}

/// Fills all memory that can be had, in every way; gives the limit of data, in MiB.
fn fill() -> i64 {
    tighten();
    let mut data = [0_u64; 2];
    call!(
        libc::SYS_prlimit64,
        0,
        libc::c_int::try_from(libc::RLIMIT_DATA).unwrap(),
        NULL,
        &raw mut data
    );
    // So that there is memory left to say this.
    let spare = vec![0_u8; 64 << 10];
    fill_data();
    let end = call!(libc::SYS_brk, 0);
    if call!(libc::SYS_brk, end + 4096) > end {
        touch(at(end), PAGE);
    }
    let stack = stack_end();
    let here = 0_u8;
    touch(stack, (&raw const here).addr() - stack.addr() - (256 << 10));
    let page = (&raw const here).addr() & !(PAGE - 1);
    let moved = call!(
        libc::SYS_mremap,
        page - (512 << 10),
        PAGE,
        1 << 30,
        libc::MREMAP_MAYMOVE
    );
    if moved > 0 {
        touch(at(moved), 1 << 30);
    }
    read_everywhere();
    drop(spare);
    i64::try_from(data[0] >> 20).unwrap_or(0)
}

/// Reads one byte of each 2 MiB of all addresses that can be had: a page table each, and no page. Gives
/// the addresses, in bytes; the last call failed.
fn read_everywhere() -> usize {
    let mut all = 0;
    let mut bytes = 1_usize << 30;
    let flags = ANON | libc::MAP_NORESERVE;
    while bytes >= 2 << 20 {
        let start = call!(libc::SYS_mmap, NULL, bytes, libc::PROT_READ, flags, -1, 0);
        if start < 0 {
            bytes /= 2;
            continue;
        }
        for offset in (0..bytes).step_by(2 << 20) {
            // SAFETY: it was just mapped.
            let _zero = unsafe { at(start).wrapping_add(offset).read_volatile() };
        }
        all += bytes;
    }
    all
}

/// Makes the call of a rule.
fn obey(index: usize, before: &Before) -> i64 {
    let act = RULE_ACTS[index];
    let page = before.page;
    if act.name == "writev" {
        // SAFETY: the page is this process's, and large enough; so below.
        unsafe { page.cast::<[usize; 2]>().write([page.addr(), 1]) };
    }
    if act.name == "prlimit64" {
        // Limits that change nothing here: 1 TiB of data, a day of CPU time.
        // SAFETY: as above.
        unsafe {
            page.cast::<[u64; 2]>().write([1 << 40; 2]);
            page.byte_add(64).cast::<[u64; 2]>().write([86_400; 2]);
        };
    }
    let [a, b, c, d, e, f] = (act.args)(Place {
        own: before.own.unsigned_abs(),
        page: u64::try_from(page.addr()).unwrap(),
    });
    call!(act.number, a, b, c, d, e, f)
}

fn raise(resource: libc::__rlimit_resource_t, before: &Before) -> i64 {
    let limit: *mut [u64; 2] = before.page.cast();
    // SAFETY: the page is this process's, and large enough.
    unsafe { limit.write([1; 2]) };
    let lowered = call!(
        libc::SYS_prlimit64,
        0,
        libc::c_int::try_from(resource).unwrap_or(-1),
        limit,
        NULL
    );
    if lowered != 0 {
        return 1000;
    }
    // SAFETY: as above.
    unsafe { limit.write([u64::MAX; 2]) };
    call!(
        libc::SYS_prlimit64,
        0,
        libc::c_int::try_from(resource).unwrap_or(-1),
        limit,
        NULL
    )
}

/// Page tables, which RLIMIT_DATA does not count, until the address space ends.
fn page_tables() -> i64 {
    const ADDRESSES_BYTES: usize = 64 << 30;
    if read_everywhere() <= ADDRESSES_BYTES {
        -1
    } else {
        0
    }
}

/// The same; says so, and waits until its input ends: somebody looks at it meanwhile.
fn hold_page_tables(before: &Before) -> i64 {
    let taken = page_tables();
    call!(libc::SYS_write, 4, c"full".as_ptr(), 4);
    call!(libc::SYS_read, 3, before.page, 1);
    taken
}

/// An io_uring that takes no descriptor: it is registered, and its rings lie in memory of the process.
fn io_uring() -> i64 {
    const IN_OWN_MEMORY: u32 = 1 << 14;
    const REGISTERED_ONLY: u32 = 1 << 15;
    /// Where things are in the parameters, in words of four bytes: flags, both addresses.
    const FLAGS: usize = 2;
    const ENTRIES: usize = 18;
    const RINGS: usize = 28;
    let mut parameters = [0_u32; 30];
    parameters[FLAGS] = IN_OWN_MEMORY | REGISTERED_ONLY;
    for place in [ENTRIES, RINGS] {
        let address = map(RW, ANON, -1).to_ne_bytes();
        let (low, high) = address.split_at(4);
        parameters[place] = u32::from_ne_bytes(low.try_into().unwrap());
        parameters[place + 1] = u32::from_ne_bytes(high.try_into().unwrap());
    }
    call!(libc::SYS_io_uring_setup, 1, parameters.as_mut_ptr())
}

#[cfg(target_arch = "x86_64")]
fn i386() -> i64 {
    let number: u64;
    // SAFETY: `getpid` by the entry for 32-bit programs; it changes no memory.
    unsafe {
        std::arch::asm!("int 0x80", inlateout("rax") 20_u64 => number, out("r8") _, out("r9") _, out("r10") _, out("r11") _);
    }
    i64::try_from(number).unwrap_or(0)
}

#[cfg(not(target_arch = "x86_64"))]
fn i386() -> i64 {
    call!(10_000)
}

/// Goes on as a worker of a fork server. The fork server waits, and then ends as its worker did. With
/// `has_sibling` there is another worker, of which the number is given.
fn become_forked(plan: &Plan, has_sibling: bool) -> (Report, Option<nix::unistd::Pid>) {
    let mut report = Report::default();
    sandbox::enter_zygote(plan, &mut report).unwrap();
    let sibling = has_sibling.then(|| fork_sibling(plan, &report));
    // SAFETY: the process has one thread, and holds no lock.
    let forked = unsafe { sandbox::fork_worker(&report) }.unwrap();
    let nix::unistd::ForkResult::Parent { child } = forked else {
        return (report, sibling);
    };
    let status = nix::sys::wait::waitpid(child, None).unwrap();
    if let Some(sibling) = sibling {
        nix::sys::signal::kill(sibling, nix::sys::signal::Signal::SIGKILL).unwrap();
        nix::sys::wait::waitpid(sibling, None).unwrap();
    }
    if let nix::sys::wait::WaitStatus::Signaled(_, signal, _) = status {
        // SAFETY: the default action runs no code of this program.
        unsafe { nix::sys::signal::signal(signal, nix::sys::signal::SigHandler::SigDfl) }.unwrap();
        nix::sys::signal::raise(signal).unwrap();
    }
    // SAFETY: ends the process.
    unsafe { libc::_exit(0) }
}

/// A worker that is behind its walls, and waits until the fork server ends.
fn fork_sibling(plan: &Plan, zygote: &Report) -> nix::unistd::Pid {
    let (mut ready, tell) = std::io::pipe().unwrap();
    // SAFETY: the process has one thread, and holds no lock.
    let forked = unsafe { sandbox::fork_worker(zygote) }.unwrap();
    if let nix::unistd::ForkResult::Parent { child } = forked {
        drop(tell);
        std::io::Read::read_exact(&mut ready, &mut [0]).unwrap();
        return child;
    }
    let descriptors = Descriptors {
        input: 0,
        output: 1,
        stderr: Some(std::os::fd::AsRawFd::as_raw_fd(&tell)),
    };
    sandbox::enter_walls(plan, &descriptors, &mut zygote.clone()).unwrap();
    // It is the standard error now, and was closed where it was.
    std::io::stderr().write_all(b"x").unwrap();
    std::mem::forget((ready, tell));
    loop {
        nix::unistd::pause();
    }
}

fn main() {
    let mut asked = Asked {
        mode: Mode::Required,
        tier: EngineTier::Jit,
        way: Way::Exec,
    };
    let mut off: Vec<Layer> = Vec::new();
    let mut act = String::new();
    let mut target = String::new();
    let mut has_sibling = false;
    let mut enter: Enter = sandbox::enter_worker;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--no-filter" => enter = sandbox::enter_walls,
            "--target" => target = arguments.next().unwrap(),
            "--nobody" => assert!(deprive("root")),
            // As root it keeps its capabilities, as in one that is privileged.
            "--container" => assert!(deprive("namespaces")),
            "--without" => {
                let what = arguments.next().unwrap();
                assert!(deprive(&what), "{what}");
            }
            "--best-effort" => asked.mode = Mode::BestEffort,
            "--jitless" => asked.tier = EngineTier::Jitless,
            "--zygote" => asked.way = Way::Zygote,
            // It is the target then.
            "--sibling" => has_sibling = true,
            "--no-landlock" => off.push(Layer::Landlock),
            name => act = name.to_owned(),
        }
    }
    let mut plan: Plan = sandbox::plan(asked);
    plan.landlock &= !off.contains(&Layer::Landlock);
    let page = map(RW, ANON, -1);
    let mut report = Report::default();
    let mut parent = nix::unistd::getppid();
    if plan.way == Way::Zygote {
        parent = nix::unistd::getpid();
        let sibling;
        (report, sibling) = become_forked(&plan, has_sibling);
        target = sibling.map_or(target, |pid| pid.to_string());
    }
    let before = Before {
        parent: i64::from(parent.as_raw()),
        own: i64::from(nix::unistd::getpid().as_raw()),
        page: std::ptr::with_exposed_provenance_mut(usize::try_from(page).unwrap()),
        target,
    };
    let descriptors = Descriptors {
        input: 0,
        output: 1,
        stderr: None,
    };
    let _warm = (act == CAN_KEEP_A_HEAP).then(Realm::for_run);
    let entered = enter(&plan, &descriptors, &mut report);
    let text = match entered {
        Err(error) => format!("refused {error}"),
        Ok(()) if act == "report" => format!("{report}"),
        Ok(()) => {
            let done = match act.parse() {
                Ok(index) => obey(index, &before),
                Err(_) => {
                    let all = || ACTS.iter().chain(walls::ACTS);
                    let (_, act) = all().find(|(name, _)| *name == act).unwrap();
                    act(&before)
                }
            };
            // SAFETY: reads this thread's error number.
            let errno = unsafe { *libc::__errno_location() };
            if done < 0 {
                format!("errno {errno}")
            } else {
                format!("ok {done}")
            }
        }
    };
    for fd in [4, 1] {
        // SAFETY: writes a text to a descriptor, if it is there.
        if unsafe { libc::write(fd, text.as_ptr().cast(), text.len()) } > 0 {
            break;
        }
    }
    let _flushed = std::io::stderr().flush();
    // SAFETY: ends the process.
    unsafe { libc::_exit(0) }
}
