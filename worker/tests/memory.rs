//! What an execution's memory limits are worth, measured from outside: scripts and machine code that
//! take all that they can get, in the production jail.

#![allow(clippy::unwrap_used, reason = "a test may fail")]
#![allow(clippy::print_stdout, reason = "a test says what it measures")]

use std::io::{Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;

use mcp_v8_protocol::codec::{FrameReader, encode};
use mcp_v8_protocol::message::{
    ExecutionLimits, FailureKind, Finished, FromWorker, Start, ToWorker,
};
use mcp_v8_worker::sandbox::{ROOM_BYTES, STACK_BYTES};

mod support {
    pub(crate) mod probe;
}
use support::probe;

const LIMITS: ExecutionLimits = ExecutionLimits {
    heap_bytes: 8 << 20,
    buffer_bytes: 8 << 20,
    cpu_seconds: 60,
};

/// By how much a peak may be above the budget, as a part of a hundred.
const OVERSHOOT_PERCENT: u64 = 5;

/// What the worker says at the moment of a crash, when memory has run out.
const LAST_WORDS: &str = "out of memory: the kernel refused more";

/// Scripts that take memory in a way of their own until there is no more.
const BOMBS: &[(&str, &str)] = &[
    ("objects", "const a = []; for (;;) a.push({ a })"),
    ("array", "new Array(1e9).fill(0)"),
    (
        "strings",
        "const a = []; for (;;) a.push('x'.repeat(1e6).split('').join('y') + a.length)",
    ),
    ("split", "'x'.repeat(2 ** 28).split('')"),
    (
        "collections",
        "const m = new Map(); for (let i = 0; ; i++) m.set(i, new Set([i]))",
    ),
    ("big integers", "let n = 3n; for (;;) n = n * n + 1n"),
    ("JSON, nested", "JSON.parse('['.repeat(2e7))"),
    ("JSON, flat", "JSON.parse('[' + '1,'.repeat(5e6) + '1]')"),
    ("source, long", "eval('1;'.repeat(5e6))"),
    ("source, an array", "eval('[' + '1,'.repeat(5e6) + ']')"),
    (
        "source, variables",
        "eval('var a' + Array.from({ length: 3e5 }, (_, i) => i).join(',a'))",
    ),
    (
        "regular expression",
        "new RegExp('(?:' + 'a|b'.repeat(5e5) + ')').test('x')",
    ),
    (
        "ICU dates",
        "const a = []; for (;;) a.push(new Intl.DateTimeFormat('de', { dateStyle: 'full' }))",
    ),
    (
        "ICU numbers",
        "const a = []; for (;;) a.push(new Intl.NumberFormat('de', { style: 'currency', currency: 'EUR' }))",
    ),
    (
        "ICU collation",
        "const a = []; for (;;) a.push(new Intl.Collator('de'))",
    ),
    (
        "ICU segments",
        "const a = []; for (;;) a.push(new Intl.Segmenter('de').segment('x'.repeat(1e5))[Symbol.iterator]())",
    ),
    (
        "Temporal",
        "const a = []; for (;;) a.push(Temporal.Now.zonedDateTimeISO())",
    ),
    (
        "clone",
        "structuredClone(Array.from({ length: 3e6 }, (_, i) => ({ i })))",
    ),
    (
        "buffers",
        "const a = []; for (;;) a.push(new Uint8Array(1 << 20).fill(1))",
    ),
    (
        "resizable buffers",
        "const a = []; for (;;) { const b = new ArrayBuffer(0, { maxByteLength: 1 << 24 }); b.resize(1 << 24); new Uint8Array(b).fill(1); a.push(b) }",
    ),
    (
        "growable shared buffers",
        "const a = []; for (;;) { const b = new SharedArrayBuffer(0, { maxByteLength: 1 << 24 }); b.grow(1 << 24); new Uint8Array(b).fill(1); a.push(b) }",
    ),
    (
        "reserved buffers",
        "const a = []; for (;;) a.push(new ArrayBuffer(0, { maxByteLength: 2 ** 33 }))",
    ),
    (
        "shrunk buffers",
        "const a = []; for (;;) { const b = new ArrayBuffer(1 << 22, { maxByteLength: 1 << 22 }); new Uint8Array(b).fill(1); b.resize(0); a.push(b) }",
    ),
    (
        "WebAssembly memories",
        "const a = []; for (;;) { const m = new WebAssembly.Memory({ initial: 64 }); new Uint8Array(m.buffer).fill(1); a.push(m) }",
    ),
    (
        "WebAssembly growth",
        "const m = new WebAssembly.Memory({ initial: 1 }); for (;;) { m.grow(64); new Uint8Array(m.buffer).fill(1) }",
    ),
    (
        "WebAssembly tables",
        "const a = []; for (;;) a.push(new WebAssembly.Table({ element: 'anyfunc', initial: 1e6 }))",
    ),
    (
        "machine code",
        "const a = []; for (let i = 0; ; i++) { const f = new Function('x', 'let s = ' + i + '; for (let i = 0; i < 50; i++) {' + 's += x * i;'.repeat(50) + '} return s'); for (let j = 0; j < 300; j++) f(j); a.push(f) }",
    ),
];

/// What `/proc` says of a process's memory, in bytes.
#[derive(Debug, Clone, Copy, Default)]
struct Memory {
    /// The most that was ever resident.
    peak: u64,
    /// Resident pages that are its own.
    own: u64,
    /// Resident pages of files, which processes share.
    files: u64,
}

impl Memory {
    /// `None` when the process has ended.
    fn of(child: &Child) -> Option<Self> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
            Some(kib << 10)
        };
        Some(Self {
            peak: field("VmHWM:")?,
            own: field("RssAnon:")?,
            files: field("RssFile:")?,
        })
    }
}

/// What became of a process, and what it took.
struct Ended {
    status: ExitStatus,
    /// The most pages of its own that were seen.
    own_peak: u64,
    /// The most that was ever resident, by the kernel's count at its end, without its files' pages.
    peak: u64,
}

/// Looks at a process's memory until it ends.
fn watch(child: &mut Child) -> Ended {
    let mut last = Memory::default();
    let mut own_peak = 0;
    while !has_ended(child) {
        if let Some(now) = Memory::of(child) {
            own_peak = own_peak
                .max(now.own)
                .max(now.peak - now.files.min(now.peak));
            last = now;
        }
    }
    let pid = libc::pid_t::try_from(child.id()).unwrap();
    let mut status = 0;
    // SAFETY: plain old data; all zeroes is a value of it.
    let mut used: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to locals that outlive the call.
    let reaped = unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut used) };
    assert_eq!(reaped, pid);
    let peak = u64::try_from(used.ru_maxrss).unwrap() << 10;
    Ended {
        status: ExitStatus::from_raw(status),
        own_peak,
        peak: peak - last.files.min(peak),
    }
}

/// Whether a process has ended; it is not reaped.
fn has_ended(child: &Child) -> bool {
    // SAFETY: plain old data; all zeroes is a value of it.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let flags = libc::WEXITED | libc::WNOWAIT | libc::WNOHANG;
    // SAFETY: the pointer is to a local that outlives the call.
    let done = unsafe { libc::waitid(libc::P_PID, child.id(), &raw mut info, flags) };
    assert_eq!(done, 0);
    // SAFETY: filled by the kernel, or still zeroes.
    unsafe { info.si_pid() != 0 }
}

fn with_overshoot(budget: u64) -> u64 {
    budget + budget * OVERSHOOT_PERCENT / 100
}

/// A worker of the real program. A shell puts its pipes into their places.
fn worker() -> Child {
    Command::new("/bin/sh")
        .args(["-c", "exec \"$0\" serve 3<&0 4>&1 </dev/null >/dev/null"])
        .arg(env!("CARGO_BIN_EXE_mcp-v8-worker"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What a script did.
struct Run {
    /// What the worker had of its own before.
    before: u64,
    ended: Ended,
    finished: Option<Finished>,
    last_words: String,
}

fn run(source: &str) -> Run {
    let mut child = worker();
    let mut input = child.stdin.take().unwrap();
    let mut output = child.stdout.take().unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let mut frames = FrameReader::<FromWorker>::default();
    let mut bytes = vec![0; 64 << 10];
    while frames.next_message().unwrap().is_none() {
        let read = output.read(&mut bytes).unwrap();
        assert_ne!(read, 0, "it says no Hello");
        frames.push(&bytes[..read]);
    }
    let before = Memory::of(&child).unwrap().own;
    let start = ToWorker::Start(Start {
        source: source.to_owned(),
        limits: LIMITS,
    });
    input.write_all(&encode(&start).unwrap()).unwrap();
    thread::scope(|scope| {
        let finished = scope.spawn(move || {
            let mut finished = None;
            loop {
                let read = output.read(&mut bytes).unwrap();
                frames.push(&bytes[..read]);
                while let Some(message) = frames.next_message().unwrap() {
                    if let FromWorker::Finished(word) = message {
                        finished = Some(word);
                    }
                }
                if read == 0 {
                    return finished;
                }
            }
        });
        let last_words = scope.spawn(move || {
            let mut text = Vec::new();
            stderr.read_to_end(&mut text).unwrap();
            String::from_utf8_lossy(&text).into_owned()
        });
        Run {
            before,
            ended: watch(&mut child),
            finished: finished.join().unwrap(),
            last_words: last_words.join().unwrap(),
        }
    })
}

/// Whether a run ended as a memory failure: by the worker's word, or by evidence that the supervisor
/// takes for one (`workers::exit`).
fn is_memory(run: &Run) -> bool {
    match &run.finished {
        Some(Finished::Failed(failure)) => failure.kind == FailureKind::Memory,
        Some(Finished::Completed(_)) => false,
        None => {
            let words = [
                LAST_WORDS,
                "memory allocation of",
                "out of memory",
                "Out of memory",
            ];
            run.ended.status.signal().is_some()
                && words.iter().any(|words| run.last_words.contains(words))
        }
    }
}

#[test]
fn no_script_passes_its_budget_and_each_ends_as_a_memory_failure() {
    let mut wrong = Vec::new();
    for (about, source) in BOMBS {
        let run = run(source);
        let budget = run.before + LIMITS.heap_bytes + LIMITS.buffer_bytes + ROOM_BYTES;
        let Ended {
            status,
            own_peak,
            peak,
        } = run.ended;
        println!(
            "{about:<24} {:>4} MiB of {} {status}",
            peak.max(own_peak) >> 20,
            budget >> 20
        );
        if peak.max(own_peak) > with_overshoot(budget) {
            wrong.push(format!("{about}: {peak} or {own_peak} of {budget} bytes"));
        }
        if !is_memory(&run) {
            wrong.push(format!(
                "{about}: {status}, {:?}, {:?}",
                run.finished, run.last_words
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn machine_code_that_fills_all_it_can_stays_within_data_and_stack() {
    let mut child = probe::start(&[], "fill");
    let _open = child.stdin.take();
    let mut output = child.stdout.take().unwrap();
    let ended = watch(&mut child);
    let mut text = String::new();
    output.read_to_string(&mut text).unwrap();
    let data: u64 = text
        .strip_prefix("ok ")
        .unwrap_or_else(|| panic!("{text} {}", ended.status))
        .parse()
        .unwrap();
    let budget = (data << 20) + STACK_BYTES;
    println!("{} MiB of {}", ended.peak >> 20, budget >> 20);
    assert!(
        ended.peak <= with_overshoot(budget),
        "{} of {budget}",
        ended.peak
    );
    // It did get most of it: otherwise nothing was tried.
    assert!(ended.peak > budget * 9 / 10, "{} of {budget}", ended.peak);
}

#[test]
fn a_crash_says_that_memory_had_run_out_only_if_it_had() {
    for environment in [&[][..], &["--zygote"]] {
        for (act, signals, is_short) in [
            ("null", &[libc::SIGSEGV][..], false),
            ("null-when-short", &[libc::SIGSEGV], true),
            ("can-abort", &[libc::SIGABRT, libc::SIGTRAP], false),
            ("abort-when-short", &[libc::SIGABRT, libc::SIGTRAP], true),
        ] {
            let output = probe::start(environment, act).wait_with_output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            let signal = output.status.signal().unwrap_or_default();
            assert!(signals.contains(&signal), "{environment:?} {act}: {signal}");
            assert_eq!(said.contains(LAST_WORDS), is_short, "{act}: {said}");
        }
    }
}

#[test]
fn an_abort_of_the_first_process_of_a_namespace_is_no_sign_of_an_exploit() {
    let (report, _) = probe::attempt(&["--zygote"], "report");
    let line = report
        .lines()
        .find(|line| line.starts_with("pid namespace"));
    let is_first = line.is_some_and(|line| line.split_whitespace().any(|word| word == "on"));
    let right = if is_first {
        libc::SIGTRAP
    } else {
        libc::SIGABRT
    };
    let (text, signal) = probe::attempt(&["--zygote"], "can-abort");
    assert_eq!((text, signal), (String::new(), Some(right)), "{report}");
    assert_eq!(probe::attempt(&[], "can-abort").1, Some(libc::SIGABRT));
}
