//! The compiled filters against the policy files, read a second time and in another way: a model of
//! the rules, a machine for BPF, and on this processor the kernel itself.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::BTreeMap;

use mcp_v8_worker::sandbox::seccomp::{self, Instruction};
use serde_json::Value;

mod support {
    #[allow(dead_code, reason = "each test program uses a part")]
    pub(crate) mod policy;
}
use support::policy::{holds, number, policy};

const KILL: u32 = libc::SECCOMP_RET_KILL_PROCESS;
const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const EPERM: u32 = libc::SECCOMP_RET_ERRNO | 1;
const PRETEND: u32 = libc::SECCOMP_RET_ERRNO;
/// What a rule may answer.
const ANSWERS: [&str; 3] = ["allow", "errno", "pretend"];
/// The number of the process in these tests.
const OWN: u32 = 4242;
/// Numbers that are tried: all that there are, and room for more.
const NUMBERS: std::ops::Range<u32> = 0..512;

/// `uretprobe` and `uprobe`.
#[cfg(target_arch = "x86_64")]
const PROBES: [u32; 2] = [335, 336];

/// x86_64, from the C library's table: not the one that the compiler of the filters has.
#[cfg(target_arch = "x86_64")]
fn x86_64_numbers() -> BTreeMap<&'static str, u32> {
    [
        ("brk", libc::SYS_brk),
        ("munmap", libc::SYS_munmap),
        ("mmap", libc::SYS_mmap),
        ("mprotect", libc::SYS_mprotect),
        ("pkey_mprotect", libc::SYS_pkey_mprotect),
        ("madvise", libc::SYS_madvise),
        ("mremap", libc::SYS_mremap),
        ("getpid", libc::SYS_getpid),
        ("gettid", libc::SYS_gettid),
        ("sched_yield", libc::SYS_sched_yield),
        ("restart_syscall", libc::SYS_restart_syscall),
        ("exit_group", libc::SYS_exit_group),
        ("rt_sigprocmask", libc::SYS_rt_sigprocmask),
        ("tgkill", libc::SYS_tgkill),
        ("futex", libc::SYS_futex),
        ("read", libc::SYS_read),
        ("pselect6", libc::SYS_pselect6),
        ("write", libc::SYS_write),
        ("writev", libc::SYS_writev),
        ("clock_gettime", libc::SYS_clock_gettime),
        ("gettimeofday", libc::SYS_gettimeofday),
        ("time", libc::SYS_time),
        ("clock_nanosleep", libc::SYS_clock_nanosleep),
        ("getrandom", libc::SYS_getrandom),
        ("prlimit64", libc::SYS_prlimit64),
        ("open", libc::SYS_open),
        ("stat", libc::SYS_stat),
        ("lstat", libc::SYS_lstat),
        ("access", libc::SYS_access),
        ("readlink", libc::SYS_readlink),
        ("openat", libc::SYS_openat),
        ("newfstatat", libc::SYS_newfstatat),
        ("fstat", libc::SYS_fstat),
        ("statx", libc::SYS_statx),
        ("faccessat", libc::SYS_faccessat),
        ("faccessat2", libc::SYS_faccessat2),
        ("readlinkat", libc::SYS_readlinkat),
        ("getcwd", libc::SYS_getcwd),
        ("close", libc::SYS_close),
        ("fcntl", libc::SYS_fcntl),
        ("lseek", libc::SYS_lseek),
        ("ioctl", libc::SYS_ioctl),
        ("prctl", libc::SYS_prctl),
        ("sched_getaffinity", libc::SYS_sched_getaffinity),
        ("sysinfo", libc::SYS_sysinfo),
        ("uname", libc::SYS_uname),
        ("clock_getres", libc::SYS_clock_getres),
        ("rt_sigaction", libc::SYS_rt_sigaction),
        ("sigaltstack", libc::SYS_sigaltstack),
        ("pkey_alloc", libc::SYS_pkey_alloc),
        ("clone3", libc::SYS_clone3),
        ("clone", libc::SYS_clone),
        ("rseq", libc::SYS_rseq),
        ("set_robust_list", libc::SYS_set_robust_list),
        ("membarrier", libc::SYS_membarrier),
    ]
    .into_iter()
    .map(|(name, number)| (name, u32::try_from(number).unwrap()))
    .collect()
}

/// aarch64, written down from the kernel's generic table.
fn aarch64_numbers() -> BTreeMap<&'static str, u32> {
    [
        ("getcwd", 17),
        ("fcntl", 25),
        ("ioctl", 29),
        ("faccessat", 48),
        ("openat", 56),
        ("close", 57),
        ("lseek", 62),
        ("read", 63),
        ("write", 64),
        ("writev", 66),
        ("pselect6", 72),
        ("readlinkat", 78),
        ("newfstatat", 79),
        ("fstat", 80),
        ("exit_group", 94),
        ("futex", 98),
        ("set_robust_list", 99),
        ("clock_gettime", 113),
        ("clock_getres", 114),
        ("clock_nanosleep", 115),
        ("sched_getaffinity", 123),
        ("sched_yield", 124),
        ("restart_syscall", 128),
        ("tgkill", 131),
        ("sigaltstack", 132),
        ("rt_sigaction", 134),
        ("rt_sigprocmask", 135),
        ("uname", 160),
        ("prctl", 167),
        ("gettimeofday", 169),
        ("getpid", 172),
        ("gettid", 178),
        ("sysinfo", 179),
        ("brk", 214),
        ("munmap", 215),
        ("mremap", 216),
        ("clone", 220),
        ("mmap", 222),
        ("mprotect", 226),
        ("madvise", 233),
        ("prlimit64", 261),
        ("getrandom", 278),
        ("membarrier", 283),
        ("pkey_alloc", 289),
        ("statx", 291),
        ("rseq", 293),
        ("clone3", 435),
        ("faccessat2", 439),
    ]
    .into()
}

fn matches(calls: &Value, args: &[u64; 6]) -> bool {
    match calls {
        Value::Null => false,
        Value::String(always) => always == "always",
        alternatives => alternatives.as_array().unwrap().iter().any(|conditions| {
            conditions
                .as_array()
                .unwrap()
                .iter()
                .all(|c| holds(c, OWN.into(), args))
        }),
    }
}

/// What the rules say.
fn model(rules: &[&Value], args: &[u64; 6]) -> u32 {
    if rules.iter().any(|rule| matches(&rule["errno"], args)) {
        EPERM
    } else if rules.iter().any(|rule| matches(&rule["pretend"], args)) {
        PRETEND
    } else if rules.iter().any(|rule| matches(&rule["allow"], args)) {
        ALLOW
    } else {
        KILL
    }
}

/// Runs a filter as the kernel would.
fn execute(program: &[Instruction], architecture: u32, nr: u32, args: &[u64; 6]) -> u32 {
    let mut data = Vec::with_capacity(64);
    data.extend(nr.to_le_bytes());
    data.extend(architecture.to_le_bytes());
    data.extend(0_u64.to_le_bytes());
    for arg in args {
        data.extend(arg.to_le_bytes());
    }
    let (mut at, mut accumulator) = (0, 0_u32);
    loop {
        let (code, jt, jf, k) = program[at];
        at += 1;
        let jump = |yes: bool| usize::from(if yes { jt } else { jf });
        match code {
            0x20 => {
                let from = usize::try_from(k).unwrap();
                accumulator = u32::from_le_bytes(data[from..from + 4].try_into().unwrap());
            }
            0x54 => accumulator &= k,
            0x05 => at += usize::try_from(k).unwrap(),
            0x15 => at += jump(accumulator == k),
            0x25 => at += jump(accumulator > k),
            0x35 => at += jump(accumulator >= k),
            0x06 => return k,
            other => panic!("a step {other:#x} that this machine does not know"),
        }
    }
}

/// Values worth trying: those that the rules name, their neighbours, one bit more, one bit less.
fn values(rules: &[&Value]) -> Vec<u64> {
    let mut found = vec![0, 1, u64::MAX, u64::from(u32::MAX)];
    for rule in rules {
        for calls in ANSWERS.map(|answer| &rule[answer]) {
            let conditions = calls.as_array().into_iter().flatten();
            for condition in conditions.flat_map(|list| list.as_array().unwrap()) {
                let value = number(&condition["value"], OWN.into());
                let allowed = match &condition["mask"] {
                    Value::Null => value,
                    mask => value | !number(mask, OWN.into()),
                };
                for base in [value, allowed] {
                    found.extend([base, base.wrapping_add(1), base.wrapping_sub(1)]);
                    found.extend((0..64).map(|bit| base ^ (1 << bit)));
                }
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn pick(&mut self, from: &[u64]) -> u64 {
        let length = u64::try_from(from.len()).unwrap();
        from[usize::try_from(self.next() % length).unwrap()]
    }
}

/// Arguments that fulfil an alternative exactly, from its conditions.
fn fulfilling(conditions: &Value) -> [u64; 6] {
    let mut args = [0; 6];
    for condition in conditions.as_array().unwrap() {
        let index = usize::try_from(condition["arg"].as_u64().unwrap()).unwrap();
        args[index] = match condition["op"].as_str().unwrap() {
            "ne" => 77,
            _ => number(&condition["value"], OWN.into()),
        };
    }
    args
}

#[test]
fn filters_and_rules_say_the_same() {
    let architectures = [
        #[cfg(target_arch = "x86_64")]
        ("x86_64", 0xc000_003e, x86_64_numbers()),
        ("aarch64", 0xc000_00b7, aarch64_numbers()),
    ];
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for (architecture, audit, names) in architectures {
        let policy = policy(architecture);
        for compiled in seccomp::all() {
            if compiled.architecture != architecture {
                continue;
            }
            let tier = if compiled.executable_memory {
                "jit"
            } else {
                "jitless"
            };
            let mut by_number: BTreeMap<u32, Vec<&Value>> = BTreeMap::new();
            for rule in policy["rules"].as_array().unwrap() {
                if rule["tier"].as_str().is_none_or(|only| only == tier) {
                    let name = rule["syscall"].as_str().unwrap();
                    let number = *names
                        .get(name)
                        .unwrap_or_else(|| panic!("number of {name}"));
                    by_number.entry(number).or_default().push(rule);
                }
            }
            let filter = seccomp::for_process(compiled, OWN);
            let answer = |audit: u32, nr: u32, args: &[u64; 6]| execute(&filter, audit, nr, args);
            let none = Vec::new();
            let mut cases = 0_u64;
            for nr in NUMBERS {
                let rules = by_number.get(&nr).unwrap_or(&none);
                let values = values(rules);
                let mut check = |args: [u64; 6]| {
                    let (found, right) = (answer(audit, nr, &args), model(rules, &args));
                    assert_eq!(found, right, "{architecture} {tier} {nr} {args:x?}");
                    cases += 1;
                };
                for rule in rules {
                    for calls in ANSWERS.map(|answer| &rule[answer]) {
                        for conditions in calls.as_array().into_iter().flatten() {
                            let right = fulfilling(conditions);
                            check(right);
                            for index in 0..6 {
                                for value in &values {
                                    let mut mutated = right;
                                    mutated[index] = *value;
                                    check(mutated);
                                }
                            }
                        }
                    }
                }
                for _ in 0..64 {
                    check(std::array::from_fn(|_| random.pick(&values)));
                    check(std::array::from_fn(|_| random.next()));
                }
                // Through another entry nothing is allowed.
                let args = [0; 6];
                assert_eq!(answer(audit, nr | 0x4000_0000, &args), KILL, "x32 {nr}");
                for other in [0x4000_0003, 0xc000_003e, 0xc000_00b7, 0x4000_0028] {
                    if other != audit {
                        assert_eq!(answer(other, nr, &args), KILL, "{other:#x} {nr}");
                    }
                }
            }
            for nr in [u32::MAX, 10_000, 0x8000_0000] {
                assert_eq!(answer(audit, nr, &[0; 6]), KILL, "{nr}");
            }
            assert!(cases > 50_000, "{architecture} {tier}: {cases} cases");
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn the_kernel_kills_for_every_number_that_is_not_named() {
    let policy = policy("x86_64");
    let names = x86_64_numbers();
    let compiled = seccomp::all()
        .iter()
        .find(|c| c.architecture == "x86_64" && c.executable_memory)
        .unwrap();
    let named: BTreeMap<u32, &Value> = policy["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| (names[rule["syscall"].as_str().unwrap()], rule))
        .collect();
    let mut tried = (0, 0);
    for nr in NUMBERS.chain([u32::MAX, 10_000, 0x4000_0000, 0x4000_0001, 0x4000_003c]) {
        match named.get(&nr) {
            None => {
                let ended = in_child(compiled, nr);
                // The kernel answers these two before any filter: they return from its own probes,
                // and fail for everybody else.
                let fails = [Err(libc::SIGILL), Ok(libc::ENXIO)].contains(&ended);
                let is_probes_own = PROBES.contains(&nr) && fails;
                assert!(
                    is_probes_own || ended == Err(libc::SIGSYS),
                    "{nr}: {ended:?}"
                );
                tried.0 += 1;
            }
            Some(rule) if rule["errno"] == "always" => {
                assert_eq!(in_child(compiled, nr), Ok(libc::EPERM), "{nr}");
                tried.1 += 1;
            }
            Some(_) => {}
        }
    }
    assert!(tried.0 > 440 && tried.1 > 20, "{tried:?}");
}

/// Makes a system call with all arguments zero behind the filter: its errno, or the signal that
/// ended the child.
#[cfg(target_arch = "x86_64")]
fn in_child(compiled: &seccomp::Compiled, nr: u32) -> Result<i32, i32> {
    // SAFETY: the child makes system calls only; its memory is made before.
    unsafe {
        let child = libc::fork();
        assert!(child >= 0);
        if child == 0 {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
            let pid = u32::try_from(libc::getpid()).unwrap_or(0);
            let mut steps: Vec<libc::sock_filter> = seccomp::for_process(compiled, pid)
                .iter()
                .map(|&(code, jt, jf, k)| libc::sock_filter { code, jt, jf, k })
                .collect();
            let program = libc::sock_fprog {
                len: u16::try_from(steps.len()).unwrap_or(0),
                filter: steps.as_mut_ptr(),
            };
            if libc::syscall(libc::SYS_seccomp, 1, 0, &raw const program) != 0 {
                libc::_exit(255);
            }
            std::mem::forget(steps);
            let done = libc::syscall(i64::from(nr), 0, 0, 0, 0, 0, 0);
            libc::_exit(if done < 0 {
                *libc::__errno_location()
            } else {
                0
            });
        }
        let mut status = 0;
        assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
        if libc::WIFSIGNALED(status) {
            Err(libc::WTERMSIG(status))
        } else {
            Ok(libc::WEXITSTATUS(status))
        }
    }
}
