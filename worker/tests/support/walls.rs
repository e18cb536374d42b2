//! Acts that are about somebody or something outside, whom the test names: the filter kills for each,
//! so they are for the layers behind it.

use std::ffi::CString;

use super::{Act, Before, HERE, NULL, PATH};

/// Name and act.
pub(super) const ACTS: &[(&str, Act)] = &[
    ("connect-abstract", |before| {
        connect_unix(&format!("\0{}", before.target))
    }),
    ("connect-path", |before| connect_unix(&before.target)),
    ("connect-tcp", |before| connect_tcp(number(before))),
    ("kill-target", |before| {
        call!(libc::SYS_kill, number(before), libc::SIGCONT)
    }),
    ("tgkill-target", |before| {
        let target = number(before);
        call!(libc::SYS_tgkill, target, target, libc::SIGCONT)
    }),
    ("tkill-target", |before| {
        call!(libc::SYS_tkill, number(before), libc::SIGCONT)
    }),
    ("pidfd_open-target", |before| {
        call!(libc::SYS_pidfd_open, number(before), 0)
    }),
    ("ptrace-target", |before| {
        call!(
            libc::SYS_ptrace,
            libc::PTRACE_SEIZE,
            number(before),
            NULL,
            NULL
        )
    }),
    ("read-target", |before| {
        // Something that is mapped in no process.
        let far = libc::iovec {
            iov_base: std::ptr::without_provenance_mut(16),
            iov_len: 1,
        };
        let near = libc::iovec {
            iov_base: before.page,
            iov_len: 1,
        };
        call!(
            libc::SYS_process_vm_readv,
            number(before),
            &raw const near,
            1,
            &raw const far,
            1,
            0
        )
    }),
    ("setpriority-target", |before| {
        call!(libc::SYS_setpriority, libc::PRIO_PROCESS, number(before), 1)
    }),
    ("sched_setaffinity-target", |before| {
        let all = [u64::MAX; 16];
        call!(
            libc::SYS_sched_setaffinity,
            number(before),
            size_of_val(&all),
            all.as_ptr()
        )
    }),
    ("prlimit-target", |before| {
        let none = [0_u64; 2];
        call!(
            libc::SYS_prlimit64,
            number(before),
            libc::RLIMIT_CORE,
            none.as_ptr(),
            NULL
        )
    }),
    ("kcmp-target", |before| {
        const VM: i32 = 1;
        call!(libc::SYS_kcmp, before.own, number(before), VM, 0, 0)
    }),
    ("unlink-target", |before| {
        let path = CString::new(before.target.as_str()).unwrap();
        call!(libc::SYS_unlinkat, HERE, path.as_ptr(), 0)
    }),
    ("chmod-target", |before| {
        let path = CString::new(before.target.as_str()).unwrap();
        call!(libc::SYS_fchmodat, HERE, path.as_ptr(), 0o700)
    }),
    ("truncate-target", |before| {
        let path = CString::new(before.target.as_str()).unwrap();
        call!(libc::SYS_truncate, path.as_ptr(), 0)
    }),
    ("stat-file", |before| {
        call!(libc::SYS_newfstatat, HERE, PATH.as_ptr(), before.page, 0)
    }),
    ("execute-file", |_| {
        call!(libc::SYS_execve, c"/bin/true".as_ptr(), NULL, NULL)
    }),
    ("openat-environ-of-target", |before| {
        open_of_process(before, "environ")
    }),
    ("openat-memory-of-target", |before| {
        open_of_process(before, "mem")
    }),
    ("openat-maps-of-target", |before| {
        open_of_process(before, "maps")
    }),
    ("openat-arguments-of-target", |before| {
        open_of_process(before, "cmdline")
    }),
    ("stat-process-target", |before| {
        let path = CString::new(format!("/proc/{}/environ", before.target)).unwrap();
        call!(libc::SYS_newfstatat, HERE, path.as_ptr(), before.page, 0)
    }),
];

fn number(before: &Before) -> i64 {
    before.target.parse().unwrap()
}

fn open_of_process(before: &Before, file: &str) -> i64 {
    let path = CString::new(format!("/proc/{}/{file}", before.target)).unwrap();
    call!(libc::SYS_openat, HERE, path.as_ptr(), 0)
}

/// Connects what came as the input, which is a socket then: a worker cannot make one.
fn connect_unix(name: &str) -> i64 {
    let mut address = libc::sockaddr_un {
        sun_family: u16::try_from(libc::AF_UNIX).unwrap(),
        sun_path: [0; 108],
    };
    for (to, from) in address.sun_path.iter_mut().zip(name.bytes()) {
        *to = from.cast_signed();
    }
    let length = std::mem::offset_of!(libc::sockaddr_un, sun_path) + name.len();
    call!(libc::SYS_connect, 3, &raw const address, length)
}

fn connect_tcp(port: i64) -> i64 {
    let address = libc::sockaddr_in {
        sin_family: u16::try_from(libc::AF_INET).unwrap(),
        sin_port: u16::try_from(port).unwrap().to_be(),
        sin_addr: libc::in_addr {
            s_addr: u32::from(std::net::Ipv4Addr::LOCALHOST).to_be(),
        },
        sin_zero: [0; 8],
    };
    let length = size_of::<libc::sockaddr_in>();
    call!(libc::SYS_connect, 3, &raw const address, length)
}
