//! What a jailed process must not be able to do, and what it lives on: a system call each, or a few.

use super::memory::{
    fill, fill_data, hold_page_tables, keep_heap, null, page_tables, stack_beyond, stack_in_pieces,
    tighten,
};
use super::{ANON, Act, Before, HERE, NULL, PAGE, PATH, RW, map};

/// Name and act, in the order of the tests' table.
pub(super) const ACTS: &[(&str, Act)] = &[
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
