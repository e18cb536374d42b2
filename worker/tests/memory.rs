//! What an execution's memory limits are worth, measured from outside: scripts and machine code that
//! take all that they can get, in the production jail.
//!
//! Scripts are held against the execution's budget: what the worker had before, heap, buffers and room.
//! Machine code is held against more, which is what the kernel's limits leave it: all of the limit of
//! data, which counts what V8 has reserved, and the stack; page tables by themselves. (That a server
//! looks at workers and ends them before is not part of this.)

#![allow(clippy::unwrap_used, reason = "a test may fail")]
#![allow(clippy::print_stdout, reason = "a test says what it measures")]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;

use mcp_v8_protocol::codec::{FrameReader, encode};
use mcp_v8_protocol::limits::{WORKER_ROOM_BYTES, WORKER_STACK_BYTES};
use mcp_v8_protocol::message::{
    ExecutionLimits, FailureKind, Finished, FromWorker, Grants, HeapUse, Start, ToWorker,
};
use mcp_v8_protocol::zygote::Ending;

mod support {
    pub(crate) mod fork_server;
    pub(crate) mod probe;
}
use support::fork_server::ForkServer;
use support::probe;

const LIMITS: ExecutionLimits = ExecutionLimits {
    heap_bytes: 8 << 20,
    buffer_bytes: 8 << 20,
    cpu_seconds: 60,
    snapshot_bytes: 0,
};

/// By how much a peak may be above the budget, as a part of a hundred.
const OVERSHOOT_PERCENT: u64 = 5;

/// Addresses that a worker may have, in bytes (`sandbox::rlimits`).
const ADDRESS_SPACE_BYTES: u64 = 64 << 30;

/// What page tables take beside one page for each 2 MiB of addresses: their upper levels, in bytes.
const UPPER_TABLES_BYTES_MAX: u64 = 1 << 20;

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

/// A field of `/proc/<pid>/status`, in bytes; `None` when the process has ended.
fn status_bytes(pid: u32, name: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib << 10)
}

impl Memory {
    /// `None` when the process has ended.
    fn of(pid: u32) -> Option<Self> {
        Some(Self {
            peak: status_bytes(pid, "VmHWM:")?,
            own: status_bytes(pid, "RssAnon:")?,
            files: status_bytes(pid, "RssFile:")?,
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

/// Who waits for a process: by whom it was started.
enum Parent<'a> {
    This(Child),
    ForkServer(&'a ForkServer),
}

impl Parent<'_> {
    /// Whether its process has ended; it is not reaped by this.
    fn has_ended(&self) -> bool {
        match self {
            Self::This(child) => has_ended(child.id()),
            Self::ForkServer(server) => server.has_news(),
        }
    }

    /// How it ended, and the most that was ever resident, in bytes.
    fn reap(&self) -> (ExitStatus, u64) {
        match self {
            Self::This(child) => reap(child.id()),
            Self::ForkServer(server) => {
                let exited = server.exited();
                let status = match exited.ending {
                    Ending::Signal(signal) => i32::from(signal),
                    Ending::Code(code) => i32::from(code) << 8,
                };
                let peak = exited.usage.resident_kib_max << 10;
                (ExitStatus::from_raw(status), peak)
            }
        }
    }
}

/// Looks at a process's memory until it ends.
fn watch(pid: u32, parent: &Parent<'_>) -> Ended {
    let mut last = Memory::default();
    let mut own_peak = 0;
    while !parent.has_ended() {
        if let Some(now) = Memory::of(pid) {
            own_peak = own_peak
                .max(now.own)
                .max(now.peak - now.files.min(now.peak));
            last = now;
        }
    }
    let (status, peak) = parent.reap();
    Ended {
        status,
        own_peak,
        peak: peak - last.files.min(peak),
    }
}

/// Whether a child has ended; it is not reaped.
fn has_ended(pid: u32) -> bool {
    // SAFETY: plain old data; all zeroes is a value of it.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let flags = libc::WEXITED | libc::WNOWAIT | libc::WNOHANG;
    // SAFETY: the pointer is to a local that outlives the call.
    let done = unsafe { libc::waitid(libc::P_PID, pid, &raw mut info, flags) };
    assert_eq!(done, 0);
    // SAFETY: filled by the kernel, or still zeroes.
    unsafe { info.si_pid() != 0 }
}

/// Of a child: how it ended, and the most that it or a child of it ever had resident, in bytes.
fn reap(pid: u32) -> (ExitStatus, u64) {
    let pid = libc::pid_t::try_from(pid).unwrap();
    let mut status = 0;
    // SAFETY: plain old data; all zeroes is a value of it.
    let mut used: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to locals that outlive the call.
    let reaped = unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut used) };
    assert_eq!(reaped, pid);
    let peak = u64::try_from(used.ru_maxrss).unwrap() << 10;
    (ExitStatus::from_raw(status), peak)
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

/// A worker that was not yet spoken with.
struct Worker<'a> {
    pid: u32,
    parent: Parent<'a>,
    input: File,
    output: File,
    stderr: File,
}

impl Worker<'_> {
    fn executed() -> Self {
        let mut child = worker();
        Self {
            pid: child.id(),
            input: OwnedFd::from(child.stdin.take().unwrap()).into(),
            output: OwnedFd::from(child.stdout.take().unwrap()).into(),
            stderr: OwnedFd::from(child.stderr.take().unwrap()).into(),
            parent: Parent::This(child),
        }
    }
}

fn forked(server: &mut ForkServer) -> Worker<'_> {
    let forked = server.fork();
    Worker {
        pid: forked.pid,
        parent: Parent::ForkServer(server),
        input: forked.input,
        output: forked.output,
        stderr: forked.stderr,
    }
}

fn run(worker: Worker<'_>, source: &str) -> Run {
    let Worker {
        pid,
        parent,
        mut input,
        mut output,
        mut stderr,
    } = worker;
    let mut frames = FrameReader::<FromWorker>::default();
    let mut bytes = vec![0; 64 << 10];
    while frames.next_message().unwrap().is_none() {
        let read = output.read(&mut bytes).unwrap();
        assert_ne!(read, 0, "it says no Hello");
        frames.push(&bytes[..read]);
    }
    let before = Memory::of(pid).unwrap().own;
    let start = ToWorker::Start(Start {
        source: source.to_owned(),
        limits: LIMITS,
        heap: HeapUse::Discard,
        grants: Grants::default(),
    });
    input.write_all(&encode(&start).unwrap()).unwrap();
    thread::scope(|scope| {
        let finished = scope.spawn(move || {
            let mut finished = None;
            let mut input = Some(input);
            loop {
                let read = output.read(&mut bytes).unwrap();
                frames.push(&bytes[..read]);
                while let Some(message) = frames.next_message().unwrap() {
                    if let FromWorker::Finished(word) = message {
                        finished = Some(word);
                        // It waits until nobody needs it.
                        input = None;
                    }
                }
                if read == 0 {
                    drop(input);
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
            ended: watch(pid, &parent),
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

/// What was wrong with the end of a script that takes all it can get.
fn wrong(about: &str, run: &Run) -> Vec<String> {
    let mut wrong = Vec::new();
    let budget = run.before + LIMITS.heap_bytes + LIMITS.buffer_bytes + WORKER_ROOM_BYTES;
    let peak = run.ended.peak.max(run.ended.own_peak);
    let status = run.ended.status;
    println!(
        "{about:<24} {:>4} MiB of {} {status}",
        peak >> 20,
        budget >> 20
    );
    if peak > with_overshoot(budget) {
        wrong.push(format!("{about}: {peak} of {budget} bytes"));
    }
    if !is_memory(run) {
        wrong.push(format!(
            "{about}: {status}, {:?}, {:?}",
            run.finished, run.last_words
        ));
    }
    wrong
}

#[test]
fn no_script_passes_its_budget_and_each_ends_as_a_memory_failure() {
    let bombs = BOMBS.iter();
    let wrong: Vec<String> = bombs
        .flat_map(|(about, source)| wrong(about, &run(Worker::executed(), source)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nor_does_one_in_a_forked_worker() {
    let mut server = ForkServer::start();
    let bombs = BOMBS.iter();
    let wrong: Vec<String> = bombs
        .flat_map(|(about, source)| wrong(about, &run(forked(&mut server), source)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn machine_code_that_fills_all_it_can_stays_within_data_and_stack() {
    for environment in [&[][..], &["--zygote"]] {
        let mut child = probe::start(environment, "fill");
        let _open = child.stdin.take();
        let mut output = child.stdout.take().unwrap();
        // (A fork server is seen as its worker: it waits, and the kernel keeps the larger peak.)
        let ended = watch(child.id(), &Parent::This(child));
        let mut text = String::new();
        output.read_to_string(&mut text).unwrap();
        let data: u64 = text
            .strip_prefix("ok ")
            .unwrap_or_else(|| panic!("{environment:?}: {text} {}", ended.status))
            .parse()
            .unwrap();
        let budget = (data << 20) + WORKER_STACK_BYTES;
        println!(
            "{environment:?}: {} MiB of {}",
            ended.peak >> 20,
            budget >> 20
        );
        assert!(
            ended.peak <= with_overshoot(budget),
            "{environment:?}: {} of {budget}",
            ended.peak
        );
        // It did get most of it: otherwise nothing was tried.
        assert!(
            ended.peak > budget * 9 / 10,
            "{environment:?}: {} of {budget}",
            ended.peak
        );
    }
}

/// The process that acts: the probe, or the worker that it has forked.
fn actor(probe: &Child) -> u32 {
    let pid = probe.id();
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    let child = children.split_whitespace().next();
    child.map_or(pid, |child| child.parse().unwrap())
}

#[test]
fn page_tables_are_bounded_by_the_addresses_that_machine_code_can_have() {
    // One table, of a page, for 2 MiB of addresses.
    let budget = ADDRESS_SPACE_BYTES / 512 + UPPER_TABLES_BYTES_MAX;
    for environment in [&[][..], &["--zygote"]] {
        let mut child = probe::start(environment, "page-tables-held");
        let input = child.stdin.take();
        let mut output = child.stdout.take().unwrap();
        let mut said = [0; 4];
        output.read_exact(&mut said).unwrap();
        assert_eq!(&said, b"full", "{environment:?}");
        let tables = status_bytes(actor(&child), "VmPTE:").unwrap();
        let own = Memory::of(actor(&child)).unwrap().own;
        drop(input);
        assert!(child.wait().unwrap().success());
        println!(
            "{environment:?}: {} MiB of page tables, {} MiB resident",
            tables >> 20,
            own >> 20
        );
        assert!(tables <= budget, "{environment:?}: {tables} of {budget}");
        // It did get most of it: otherwise nothing was tried.
        assert!(
            tables > budget * 9 / 10,
            "{environment:?}: {tables} of {budget}"
        );
    }
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
fn an_abort_of_the_first_process_of_a_namespace_is_a_trap() {
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
