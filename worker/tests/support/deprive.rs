//! Takes from a process what machines and containers may not give: users, capabilities, system calls.
//! A call that is taken fails as it would there, in this process and all that come from it; or it says
//! that it was done, and was not.

use nix::errno::Errno;
use nix::unistd::{Gid, Uid};

/// When a call fails.
#[derive(Debug, Clone, Copy)]
enum When {
    Always,
    /// One of these bits is set in an argument.
    Has(u8, u32),
    /// An argument has this value.
    Is(u8, u32),
}
use When::{Always, Has, Is};

/// A call that fails, when, and how.
type Denial = (libc::c_long, When, i32);

/// How a call fails that does nothing, and says otherwise.
const LIE: i32 = 0;

const NEW_USER: u32 = libc::CLONE_NEWUSER.cast_unsigned();
const NEW: u32 = NEW_USER
    | (libc::CLONE_NEWNS
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWCGROUP
        | libc::CLONE_NEWPID)
        .cast_unsigned();

/// How long the word is by which a process in a new user namespace gives up its groups.
const DENY_BYTES: u32 = 4;

/// What can be taken by refusing system calls, by its name.
const DENIALS: &[(&str, &[Denial])] = &[
    // A kernel without it.
    (
        "landlock",
        &[
            (libc::SYS_landlock_create_ruleset, Always, libc::ENOSYS),
            (libc::SYS_landlock_add_rule, Always, libc::ENOSYS),
            (libc::SYS_landlock_restrict_self, Always, libc::ENOSYS),
        ],
    ),
    // A container's default.
    (
        "namespaces",
        &[
            (libc::SYS_unshare, Has(0, NEW), libc::EPERM),
            (libc::SYS_setns, Always, libc::EPERM),
            (libc::SYS_clone, Has(0, NEW), libc::EPERM),
            (libc::SYS_clone3, Always, libc::ENOSYS),
        ],
    ),
    // What Docker's default profile refuses beside them to those without the capabilities.
    (
        "administration",
        &[
            (libc::SYS_keyctl, Always, libc::EPERM),
            (libc::SYS_add_key, Always, libc::EPERM),
            (libc::SYS_request_key, Always, libc::EPERM),
            (libc::SYS_mount, Always, libc::EPERM),
            (libc::SYS_umount2, Always, libc::EPERM),
            (libc::SYS_pivot_root, Always, libc::EPERM),
            (libc::SYS_bpf, Always, libc::EPERM),
            (libc::SYS_perf_event_open, Always, libc::EPERM),
            (libc::SYS_userfaultfd, Always, libc::EPERM),
            (libc::SYS_io_uring_setup, Always, libc::EPERM),
            (libc::SYS_name_to_handle_at, Always, libc::EPERM),
            (libc::SYS_open_by_handle_at, Always, libc::EPERM),
        ],
    ),
    (
        "user-namespace",
        &[
            (libc::SYS_unshare, Has(0, NEW_USER), libc::EPERM),
            (libc::SYS_clone, Has(0, NEW_USER), libc::EPERM),
            (libc::SYS_clone3, Always, libc::ENOSYS),
        ],
    ),
    // A user namespace can be entered, and then nothing be mapped into it: AppArmor of Ubuntu. The
    // first thing that is written then is known by its length (as is what makes a process the first
    // victim when memory runs out, which is an extra).
    ("maps", &[(libc::SYS_write, Is(2, DENY_BYTES), libc::EPERM)]),
    ("clone3", &[(libc::SYS_clone3, Always, libc::ENOSYS)]),
    ("groups", &[(libc::SYS_setgroups, Always, libc::EPERM)]),
    // What a worker never does without.
    (
        "descriptors",
        &[(libc::SYS_close_range, Always, libc::ENOSYS)],
    ),
    (
        "limits",
        &[(libc::SYS_prlimit64, Is(1, libc::RLIMIT_CORE), libc::EPERM)],
    ),
    (
        "capability-sets",
        &[(libc::SYS_capset, Always, libc::EPERM)],
    ),
    (
        "privileges",
        &[prctl(libc::PR_SET_NO_NEW_PRIVS, libc::EPERM)],
    ),
    ("dumpable", &[prctl(libc::PR_SET_DUMPABLE, libc::EPERM)]),
    (
        "parent-death",
        &[prctl(libc::PR_SET_PDEATHSIG, libc::EPERM)],
    ),
    ("filters", &[(libc::SYS_seccomp, Always, libc::EINVAL)]),
    // The same, and worse: it is said to be there.
    (
        "lying-landlock",
        &[(libc::SYS_landlock_restrict_self, Always, LIE)],
    ),
    (
        "lying-network",
        &[(
            libc::SYS_unshare,
            Is(0, libc::CLONE_NEWNET.cast_unsigned()),
            LIE,
        )],
    ),
    (
        "lying-root",
        &[
            (libc::SYS_mount, Always, LIE),
            (libc::SYS_umount2, Always, LIE),
            (libc::SYS_pivot_root, Always, LIE),
        ],
    ),
    (
        "lying-limit",
        &[(libc::SYS_prlimit64, Is(1, libc::RLIMIT_NOFILE), LIE)],
    ),
    ("lying-capability-sets", &[(libc::SYS_capset, Always, LIE)]),
    ("lying-privileges", &[prctl(libc::PR_SET_NO_NEW_PRIVS, LIE)]),
    ("lying-dumpable", &[prctl(libc::PR_SET_DUMPABLE, LIE)]),
    ("lying-parent-death", &[prctl(libc::PR_SET_PDEATHSIG, LIE)]),
    ("lying-filters", &[(libc::SYS_seccomp, Always, LIE)]),
];

/// The capabilities that root has in a container, by default.
const OF_CONTAINERS: [u8; 14] = [0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31];

/// The user that an ordinary one is here.
const NOBODY: u32 = 65_534;

const fn prctl(option: i32, how: i32) -> Denial {
    (libc::SYS_prctl, Is(0, option.cast_unsigned()), how)
}

/// Takes what is called so; whether there is such a thing.
///
/// * `root`: all privilege; an ordinary user is left.
/// * `capabilities`: those that containers do not give.
/// * the names of [`DENIALS`].
/// * `docker`: all that its default takes.
pub(crate) fn deprive(what: &str) -> bool {
    match what {
        "root" => become_nobody(),
        "capabilities" => drop_capabilities(),
        // The privilege to install filters goes last.
        "docker" => ["namespaces", "administration", "capabilities"]
            .into_iter()
            .for_each(|part| assert!(deprive(part), "{part}")),
        name => match DENIALS.iter().find(|(known, _)| *known == name) {
            Some((_, denials)) => deny(denials),
            None => return false,
        },
    }
    true
}

fn become_nobody() {
    let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    nix::unistd::setgroups(&[]).unwrap();
    nix::unistd::setresgid(group, group, group).unwrap();
    nix::unistd::setresuid(user, user, user).unwrap();
    nix::sys::prctl::set_dumpable(true).unwrap();
}

/// Drops capabilities from what programs may have, and from what this one has. Others than root have
/// none.
fn drop_capabilities() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    for capability in 0..64_u8 {
        if !OF_CONTAINERS.contains(&capability) {
            // Those beyond the last one that the kernel knows are not there.
            // SAFETY: integers only.
            unsafe {
                libc::prctl(
                    libc::PR_CAPBSET_DROP,
                    libc::c_ulong::from(capability),
                    0,
                    0,
                    0,
                )
            };
        }
    }
    let kept = OF_CONTAINERS.iter().fold(0_u32, |set, it| set | 1 << it);
    let header = [0x2008_0522_u32, 0];
    let sets = [kept, kept, 0, 0, 0, 0];
    // SAFETY: both have the layout that version 3 says.
    let set = unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()) };
    assert_eq!(set, 0);
}

/// Installs a filter that lets everything through but the given calls.
fn deny(denials: &[Denial]) {
    let step = |code: u32, k: u32, jt: u8, jf: u8| libc::sock_filter {
        code: u16::try_from(code).unwrap(),
        jt,
        jf,
        k,
    };
    let load = |offset: u32| step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset, 0, 0);
    let equal = |value: u32, jf: u8| {
        let code = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
        step(code, value, 0, jf)
    };
    let give = |answer: u32| step(libc::BPF_RET | libc::BPF_K, answer, 0, 0);
    // The lower half of an argument.
    let argument = |index: u8| load(16 + 8 * u32::from(index));
    let mut steps = Vec::new();
    for (number, when, errno) in denials {
        let number = u32::try_from(*number).unwrap();
        let condition = match *when {
            Always => vec![],
            Has(index, bits) => {
                let code = libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K;
                vec![argument(index), step(code, bits, 0, 1)]
            }
            Is(index, value) => vec![argument(index), equal(value, 1)],
        };
        let beyond = u8::try_from(condition.len() + 1).unwrap();
        steps.extend([load(0), equal(number, beyond)]);
        steps.extend(condition);
        steps.push(give(libc::SECCOMP_RET_ERRNO | errno.cast_unsigned()));
    }
    steps.push(give(libc::SECCOMP_RET_ALLOW));
    let program = libc::sock_fprog {
        len: u16::try_from(steps.len()).unwrap(),
        filter: steps.as_mut_ptr(),
    };
    let install = || {
        // SAFETY: the program points to so many steps; the kernel copies and checks them.
        let done = unsafe {
            libc::syscall(
                libc::SYS_seccomp,
                libc::SECCOMP_SET_MODE_FILTER,
                0,
                &raw const program,
            )
        };
        Errno::result(done)
    };
    // Only root can do it without giving up new privileges, as a container's engine does.
    if install() == Err(Errno::EACCES) {
        nix::sys::prctl::set_no_new_privs().unwrap();
        install().unwrap();
    }
}
