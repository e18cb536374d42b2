//! Takes the jail of a worker, then does one thing that a jailed process must not be able to do, in
//! the way of machine code: by raw system calls.
//!
//! `sandbox_probe [environment...] act`, where an act is a name, or the index of a rule's call: reads nothing, has the pipes of a worker as its standard
//! input and output, and writes `ok N`, `errno N` or `refused ...` to the latter, unless it dies.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::io::Write as _;

use mcp_v8_worker::runtime::Realm;
use mcp_v8_worker::sandbox::{self, Asked, Descriptors, Layer, Mode, Plan, Report, Way};
use mcp_v8_worker::tier::EngineTier;

#[allow(dead_code, reason = "what a call gives is for the test to know")]
#[path = "rule_acts.rs"]
mod rule_acts;
use rule_acts::{Place, RULE_ACTS};

type Act = fn(&Before) -> i64;

/// How the jail is taken: whole, or all of it but the filter.
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

#[path = "sandbox_acts.rs"]
mod acts;
#[path = "deprive.rs"]
mod deprive;
#[path = "sandbox_memory.rs"]
mod memory;
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

/// V8 is there before the jail is taken; the isolate of a heap is made in it.
const CAN_KEEP_A_HEAP: &str = "can-keep-a-heap";

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
                    let all = || acts::ACTS.iter().chain(walls::ACTS);
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
