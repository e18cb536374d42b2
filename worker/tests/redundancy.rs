//! Every rule of the system call policy is needed, and says by what.
//!
//! Each script of `tests/specs` runs in a worker of the real program with its whole jail, and its system
//! calls are watched by ptrace, from its Hello to its end. What was never used must say in the policy why
//! it is `kept`: each alternative of a rule by itself. What scripts use must be in the policy: they would
//! be killed for it.
//!
//! Watched: workers that are executed. Hello comes after the self-check of the jail, so that the calls
//! which that makes to be refused do not count. What was found is printed: `--no-capture` shows it.

#![allow(clippy::unwrap_used, reason = "a test may fail")]
#![allow(clippy::print_stdout, reason = "it prints a report")]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use mcp_v8_protocol::codec::{FrameReader, encode};
use mcp_v8_protocol::limits::SOURCE_BYTES_MAX;
use mcp_v8_protocol::message::{ExecutionLimits, FromWorker, Grants, HeapUse, Start, ToWorker};
use mcp_v8_worker::sandbox::{INPUT_FD, OUTPUT_FD};
use serde_json::Value;

#[allow(dead_code, reason = "only names and numbers are needed here")]
#[path = "support/rule_acts.rs"]
mod rule_acts;

mod support {
    #[allow(dead_code, reason = "each test program uses a part")]
    pub(crate) mod policy;
}
use support::policy::{alternatives, holds, policy};

/// What each script gets.
const LIMITS: ExecutionLimits = ExecutionLimits {
    heap_bytes: 8 << 20,
    buffer_bytes: 8 << 20,
    cpu_seconds: 60,
    snapshot_bytes: 0,
};
/// How long each script may run.
const SCRIPT_TIME: Duration = Duration::from_secs(30);
/// The same for those that never end.
const ENDLESS_TIME: Duration = Duration::from_secs(2);
/// How the others are told: what their specification says.
const ENDLESS: &str = "expect: timed_out";
/// How a stop for a system call is told from others.
const SYSCALL_STOP: i32 = libc::SIGTRAP | 0x80;

/// Scripts beside those of the folder: a wait for the supervisor, deaths of each kind, and a buffer that
/// shrinks.
const MORE: &[&str] = &[
    // A request that nobody answers.
    "fetch('http://a.test/', { signal: AbortSignal.timeout(5) }).catch(() => 1)",
    "JSON.parse('['.repeat(2e7))",
    "const a = []; for (;;) a.push(new Intl.DateTimeFormat('de', { dateStyle: 'full' }))",
    "const a = []; for (;;) a.push(new Intl.Collator('de'))",
    "new RegExp('(?:' + 'a|b'.repeat(5e5) + ')').test('x')",
    "const b = new ArrayBuffer(1 << 20, { maxByteLength: 1 << 20 }); b.resize(0); 1",
    "let a = []; for (let i = 0; i < 3e6; i++) { a.push({ i }); if (a.length > 1e5) a = [] } 1",
];

/// A call as the kernel saw it.
struct Call {
    number: u64,
    args: [u64; 6],
}

/// One alternative of one rule.
struct Alternative {
    number: u64,
    /// For people.
    about: String,
    conditions: Vec<Value>,
    answer: &'static str,
    kept: bool,
    calls: u64,
    scripts: u64,
}

#[test]
fn every_alternative_is_used_by_scripts_or_says_why_it_is_kept() {
    hold("jit");
}

#[test]
fn every_alternative_of_the_tier_without_compilers_is_used_or_says_why_it_is_kept() {
    hold("jitless");
}

fn hold(tier: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut alternatives = alternatives_of(tier);
    let mut sources = scripts(&root.join("tests/specs"));
    sources.extend(MORE.iter().map(|&source| source.to_owned()));
    // The parser of TypeScript has no memory left, and Rust aborts.
    sources.push("class A {}\n".repeat(SOURCE_BYTES_MAX / 16));
    let mut strangers = Vec::new();
    for source in &sources {
        let mut seen = vec![0; alternatives.len()];
        watch(tier, source, |pid, call| {
            if let Some(index) = find(&alternatives, pid, call) {
                seen[index] += 1;
            } else {
                let begin: String = source.chars().take(200).collect();
                strangers.push(format!("{} {:x?} of {begin}", call.number, call.args));
            }
        });
        for (alternative, seen) in alternatives.iter_mut().zip(seen) {
            alternative.calls += seen;
            alternative.scripts += u64::from(seen > 0);
        }
    }
    let unused = report(&alternatives, sources.len());
    assert!(strangers.is_empty(), "no rule for {}", strangers.join("\n"));
    assert!(
        unused.is_empty(),
        "never used, and nothing says why it is kept:\n{}",
        unused.join("\n")
    );
}

/// Prints how often each alternative was used; those that nobody used or explains.
fn report(alternatives: &[Alternative], scripts: usize) -> Vec<&str> {
    println!("{:>10} {:>7} of {scripts} scripts", "calls", "scripts");
    for it in alternatives {
        let kept = if it.kept && it.calls == 0 {
            " (kept)"
        } else {
            ""
        };
        println!("{:>10} {:>7} {}{kept}", it.calls, it.scripts, it.about);
    }
    let idle = alternatives.iter().filter(|it| it.calls == 0 && !it.kept);
    idle.map(|it| it.about.as_str()).collect()
}

/// The rules for this processor and a tier.
fn alternatives_of(tier: &str) -> Vec<Alternative> {
    let numbers: BTreeMap<&str, u64> = rule_acts::RULE_ACTS
        .iter()
        .map(|act| (act.name, act.number.unsigned_abs()))
        .collect();
    let mut found = Vec::new();
    for rule in policy(std::env::consts::ARCH)["rules"].as_array().unwrap() {
        if rule["tier"].as_str().is_some_and(|only| only != tier) {
            continue;
        }
        let name = rule["syscall"].as_str().unwrap();
        // A refusal wins over an allowance.
        for answer in ["errno", "pretend", "allow"] {
            for conditions in alternatives(&rule[answer]) {
                let is_kept = |it: &Value| it["kept"].is_string();
                let kept = is_kept(rule) || conditions.iter().any(is_kept);
                let meanings = conditions.iter().map(|c| c["meaning"].as_str().unwrap());
                let meanings = meanings.collect::<Vec<_>>().join("; ");
                found.push(Alternative {
                    number: numbers[name],
                    about: format!("{name} {answer} {meanings}"),
                    conditions,
                    answer,
                    kept,
                    calls: 0,
                    scripts: 0,
                });
            }
        }
    }
    found
}

fn find(alternatives: &[Alternative], pid: u64, call: &Call) -> Option<usize> {
    let fits = |it: &Alternative| {
        it.number == call.number && it.conditions.iter().all(|c| holds(c, pid, &call.args))
    };
    let refused = |it: &Alternative| it.answer != "allow" && fits(it);
    let index = alternatives.iter().position(refused);
    index.or_else(|| alternatives.iter().position(fits))
}

/// Every script below a folder.
fn scripts(folder: &Path) -> Vec<String> {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    let mut found = Vec::new();
    for path in entries {
        if path.is_dir() {
            found.extend(scripts(&path));
        } else if path
            .extension()
            .is_some_and(|kind| kind == "js" || kind == "ts")
        {
            found.push(std::fs::read_to_string(path).unwrap());
        }
    }
    found
}

/// A worker that waits for its tracer, which is this thread.
fn spawn(tier: &str) -> (Child, File, File) {
    let (their_input, input) = io::pipe().unwrap();
    let (output, their_output) = io::pipe().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-v8-worker"));
    command
        .args(["serve", "--engine-tier", tier])
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let (from, to) = (their_input.as_raw_fd(), their_output.as_raw_fd());
    // SAFETY: system calls only, on numbers.
    unsafe {
        command.pre_exec(move || {
            // Out of each other's way first.
            let (from, to) = (libc::dup(from), libc::dup(to));
            let (from, to) = (
                libc::fcntl(from, libc::F_DUPFD, 20),
                libc::fcntl(to, libc::F_DUPFD, 20),
            );
            libc::dup2(from, INPUT_FD);
            libc::dup2(to, OUTPUT_FD);
            libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0);
            Ok(())
        });
    }
    let child = command.spawn().unwrap();
    let (input, output): (std::os::fd::OwnedFd, std::os::fd::OwnedFd) =
        (input.into(), output.into());
    (child, input.into(), output.into())
}

/// Runs a script, and shows its system calls from Hello on, with the worker's number.
fn watch(tier: &str, source: &str, mut show: impl FnMut(u64, &Call)) {
    let (child, input, output) = spawn(tier);
    let time = if source.contains(ENDLESS) {
        ENDLESS_TIME
    } else {
        SCRIPT_TIME
    };
    let pid = libc::pid_t::try_from(child.id()).unwrap();
    let (ended, is_over) = channel::<()>();
    thread::scope(|scope| {
        scope.spawn(|| converse(input, output, source));
        scope.spawn(move || {
            if is_over.recv_timeout(time) == Err(RecvTimeoutError::Timeout) {
                // SAFETY: the tracer reaps it only after it has ended.
                unsafe { libc::kill(pid, libc::SIGKILL) };
            }
        });
        trace(pid, |call| show(u64::from(child.id()), call));
        drop(ended);
    });
}

/// Says Start once the worker has said something, and listens to the end: after its last word a worker waits
/// until nobody needs it.
fn converse(mut input: File, mut output: File, source: &str) {
    let start = ToWorker::Start(Start {
        source: source.to_owned(),
        limits: LIMITS,
        heap: HeapUse::Discard,
        grants: Grants { fetch: true },
    });
    let mut frames = FrameReader::<FromWorker>::default();
    let mut bytes = vec![0; 1 << 16];
    if !output.read(&mut bytes).is_ok_and(|read| read > 0) {
        return;
    }
    let _gone = encode(&start).map(|frame| input.write_all(&frame));
    let mut input = Some(input);
    while let Ok(read @ 1..) = output.read(&mut bytes) {
        frames.push(&bytes[..read]);
        while let Ok(Some(message)) = frames.next_message() {
            if let FromWorker::Finished(_) = message {
                input = None;
            }
        }
    }
    drop(input);
}

/// Lets a process go from call to call until it ends, and shows those from its first write to the
/// supervisor on.
fn trace(pid: libc::pid_t, mut show: impl FnMut(&Call)) {
    let mut is_shut_in = false;
    let mut status = 0;
    // SAFETY: the process is this thread's to trace; pointers are to locals that outlive the calls.
    unsafe {
        assert_eq!(libc::waitpid(pid, &raw mut status, 0), pid);
        let options = libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_EXITKILL;
        libc::ptrace(libc::PTRACE_SETOPTIONS, pid, 0, options);
        let mut signal = 0;
        loop {
            libc::ptrace(libc::PTRACE_SYSCALL, pid, 0, signal);
            if libc::waitpid(pid, &raw mut status, 0) != pid || !libc::WIFSTOPPED(status) {
                return;
            }
            signal = libc::WSTOPSIG(status);
            if signal != SYSCALL_STOP {
                continue;
            }
            signal = 0;
            if let Some(call) = entered(pid) {
                is_shut_in |= call.number == libc::SYS_write.unsigned_abs()
                    && call.args[0] == u64::try_from(OUTPUT_FD).unwrap_or(0);
                if is_shut_in {
                    show(&call);
                }
            }
        }
    }
}

/// The call that a process is about to make; `None` when it comes from one.
fn entered(pid: libc::pid_t) -> Option<Call> {
    // SAFETY: plain old data; all zeroes is a value of it.
    let mut info: libc::ptrace_syscall_info = unsafe { std::mem::zeroed() };
    let size = size_of::<libc::ptrace_syscall_info>();
    // SAFETY: the process is stopped and this thread's to trace; the kernel fills the structure.
    let filled = unsafe { libc::ptrace(libc::PTRACE_GET_SYSCALL_INFO, pid, size, &raw mut info) };
    (filled > 0 && info.op == libc::PTRACE_SYSCALL_INFO_ENTRY).then(|| {
        // SAFETY: this is the part that is filled at an entry.
        let entry = unsafe { info.u.entry };
        Call {
            number: entry.nr,
            args: entry.args,
        }
    })
}
