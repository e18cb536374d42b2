//! Scripts that take all they can get: each ends in one of the ways that it may, and the server and
//! its next execution are as before. So it is as root, as an ordinary user, and in a container.

#![allow(clippy::print_stderr, reason = "a test says what it skips")]

use std::process::Command;

use e2e::home::Home;
use e2e::processes;
use e2e::server::{PATIENCE, Server};
use serde_json::json;

/// What a script gets.
const HEAP_MB: u64 = 8;
/// The deadline of those that may reach it, and of the others.
const SHORT_SECS: u64 = 1;
const LONG_SECS: u64 = 20;
/// What the server itself may grow by over all of them, in bytes.
const GROWTH_BYTES_MAX: u64 = 96 << 20;

/// A script, and how it may end: status, and kind of failure.
const SCRIPTS: &[(&str, &[(&str, &str)])] = &[
    // Memory.
    ("const a = []; for (;;) a.push({ a })", MEMORY),
    (
        "const a = []; for (;;) a.push('x'.repeat(1e6) + a.length)",
        MEMORY,
    ),
    ("new Array(1e9).fill(0)", MEMORY),
    ("let s = 'x'; for (;;) s += s", THROWN_OR_MEMORY),
    ("'x'.repeat(2 ** 28).split('')", MEMORY),
    (
        "const a = []; for (;;) a.push(new Uint8Array(1 << 20))",
        THROWN_OR_MEMORY,
    ),
    ("new ArrayBuffer(1 << 30)", THROWN_OR_MEMORY),
    (
        "new ArrayBuffer(1 << 20, { maxByteLength: 1 << 30 }).resize(1 << 30)",
        THROWN_OR_MEMORY,
    ),
    (
        "const a = []; for (;;) a.push(new WebAssembly.Memory({ initial: 64 }))",
        THROWN_OR_MEMORY,
    ),
    (
        "new WebAssembly.Memory({ initial: 1 }).grow(60000)",
        THROWN_OR_MEMORY,
    ),
    ("JSON.parse('[' + '[1],'.repeat(3e6) + '1]')", MEMORY),
    (
        "const m = new Map(); for (let i = 0; ; i++) m.set(i, new Map([[i, i]]))",
        MEMORY,
    ),
    (
        "const s = []; for (let i = 0; ; i++) s.push(Symbol('x'.repeat(999) + i))",
        MEMORY,
    ),
    (
        "structuredClone(Array.from({ length: 3e6 }, (_, i) => ({ i })))",
        MEMORY,
    ),
    (
        "const a = []; for (;;) a.push(new Blob([new Uint8Array(1 << 20)]))",
        THROWN_OR_MEMORY,
    ),
    (
        "const p = []; for (;;) p.push(new Promise(() => {}))",
        MEMORY,
    ),
    // Time.
    ("for (;;) {}", TIMED_OUT),
    ("/(a+)+$/.test('a'.repeat(40) + 'b')", TIMED_OUT),
    (
        "const spin = () => { Promise.resolve().then(spin) }; spin()",
        TIMED_OUT,
    ),
    (
        "const again = () => setTimeout(again, 0); again(); 'never'",
        TIMED_OUT,
    ),
    (
        "queueMicrotask(function f() { queueMicrotask(f) })",
        TIMED_OUT,
    ),
    ("await new Promise(r => setTimeout(r, 1e9))", TIMED_OUT),
    ("let n = 1n; for (;;) n *= 3n ** 1000n", TIMED_OUT_OR_MEMORY),
    (
        "[].concat(...Array(1e4).fill(Array(1e5).fill(1)))",
        TIMED_OUT_OR_MEMORY,
    ),
    (
        "Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)",
        ANY,
    ),
    // Stack.
    ("(function f() { f() })()", THROWN),
    (
        "let a = []; for (let i = 0; i < 1e5; i++) a = [a]; JSON.stringify(a)",
        ANY,
    ),
    (
        "let a = []; for (let i = 0; i < 1e5; i++) a = [a]; console.log(a); 1",
        ANY,
    ),
    ("eval('['.repeat(1e5))", THROWN),
    ("new RegExp('('.repeat(1e5) + ')'.repeat(1e5))", THROWN),
    (
        "const o = {}; Object.defineProperty(o, 'x', { get() { return o.x } }); o.x",
        THROWN,
    ),
    // Output and results.
    ("for (;;) console.log('x'.repeat(1000))", TIMED_OUT),
    ("for (;;) console.log('')", TIMED_OUT),
    ("'x'.repeat(2e6)", COMPLETED),
    ("'\\u{1f600}'.repeat(1e6)", COMPLETED),
    ("throw new Error('x'.repeat(2e6))", THROWN),
    ("console.log('x'.repeat(3e6)); 1", COMPLETED),
    ("throw { toString() { throw 1 } }", ANY_FAILURE),
    ("({ toString() { for (;;) {} } })", TIMED_OUT),
    (
        "({ get x() { for (;;) {} }, [Symbol.toPrimitive]() { return 'v' } })",
        ANY,
    ),
    (
        "new Proxy({}, { get() { throw new Error('p') } })",
        ANY_FAILURE,
    ),
    (
        "Error.prepareStackTrace = () => { for (;;) {} }; throw new Error('x')",
        ANY,
    ),
    (
        "Object.prototype.toString = () => { throw 1 }; ({})",
        ANY_FAILURE,
    ),
    (
        "Array.prototype[Symbol.iterator] = null; console.log([1]); 2",
        ANY,
    ),
    ("Promise.prototype.then = () => { throw 1 }; await 1", ANY),
    (
        "for (const k of Reflect.ownKeys(globalThis)) try { delete globalThis[k] } catch {}; 1",
        ANY,
    ),
    ("Object.freeze(globalThis)", ANY),
    (
        "while (true) try { (function f() { f() })() } catch {}",
        TIMED_OUT,
    ),
    (
        "const f = new FinalizationRegistry(() => { for (;;) {} }); f.register({}); 1",
        ANY,
    ),
];

const COMPLETED: &[(&str, &str)] = &[("completed", "")];
const TIMED_OUT: &[(&str, &str)] = &[("timed_out", "")];
const MEMORY: &[(&str, &str)] = &[("failed", "memory")];
const THROWN: &[(&str, &str)] = &[("failed", "exception")];
const THROWN_OR_MEMORY: &[(&str, &str)] = &[("failed", "exception"), ("failed", "memory")];
const TIMED_OUT_OR_MEMORY: &[(&str, &str)] = &[
    ("timed_out", ""),
    ("failed", "memory"),
    ("failed", "exception"),
];
const ANY_FAILURE: &[(&str, &str)] = &[("failed", "exception"), ("failed", "unprintable")];
const ANY: &[(&str, &str)] = &[
    ("completed", ""),
    ("timed_out", ""),
    ("failed", "exception"),
    ("failed", "unprintable"),
    ("failed", "unhandled_rejection"),
    ("failed", "nothing_left_to_wait_for"),
    ("failed", "memory"),
];

/// Processes that a server may have beneath it with nothing to do: fork servers, one that is being
/// replaced among them, and parked workers.
const IDLE_PROCESSES_MAX: usize = 8;

/// What the server has of a parked worker.
const PIPES: usize = 3;

/// The ordinary user.
const NOBODY: u32 = 65_534;

#[test]
fn greedy_scripts_end_as_they_may_in_workers_that_are_executed() {
    let home = Home::new();
    let server = home.server("mcp-v8-worker");
    endure(&home, server, "exec", 0);
}

#[test]
fn greedy_scripts_end_as_they_may_in_workers_that_are_forked() {
    let home = Home::new();
    let server = home.server("mcp-v8-worker");
    endure(&home, server, "zygote", IDLE_PROCESSES_MAX);
}

#[test]
fn greedy_scripts_end_as_they_may_under_an_ordinary_user() {
    endure_without(&["root"], "zygote", IDLE_PROCESSES_MAX);
}

#[test]
fn greedy_scripts_end_as_they_may_in_a_container() {
    endure_without(&["docker"], "zygote", IDLE_PROCESSES_MAX);
}

#[test]
fn greedy_scripts_end_as_they_may_under_an_ordinary_user_in_a_container() {
    endure_without(&["root", "docker"], "exec", 0);
}

/// The same where something of the machine is not given.
fn endure_without(what: &[&str], worker_start: &str, idle_processes_max: usize) {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED: only root can lose what is taken here");
        return;
    }
    let home = Home::new();
    let programs = home.give_to(NOBODY);
    let server = home.server("mcp-v8-worker");
    let mut copied = Command::new(programs.path().join("mcp-v8"));
    copied.args(server.get_args());
    for (name, value) in server.get_envs() {
        match value {
            Some(value) => copied.env(name, value),
            None => copied.env_remove(name),
        };
    }
    let server = home.without(what, &copied);
    endure(&home, server, worker_start, idle_processes_max);
}

/// Runs all of them on a server that starts workers in this way, and has at most so many processes
/// when nothing runs.
fn endure(home: &Home, mut command: Command, worker_start: &str, idle_processes_max: usize) {
    command.args(["--worker-start", worker_start]);
    command.args(["--max-concurrent-executions", "2"]);
    let mut server = Server::spawn(command);
    server.initialize();
    server.run("1");
    let before = server.usage();
    let mut wrong = Vec::new();
    for (code, allowed) in SCRIPTS {
        let may_time_out = allowed.contains(&("timed_out", ""));
        let secs = if may_time_out { SHORT_SECS } else { LONG_SECS };
        let limits = json!({"heap_memory_max_mb": HEAP_MB, "execution_timeout_secs": secs});
        let seen = server.run_with(code, limits);
        let text = |name: &str| seen[name].as_str().unwrap_or_default();
        let end = (text("status"), text("error_kind"));
        if !allowed.contains(&end) {
            let error: String = text("error").chars().take(300).collect();
            wrong.push(format!("{code}\n    {end:?}: {error}"));
        }
        assert!(text("result").len() <= 1 << 20, "{code}");
        assert!(text("error").len() <= 64 << 10, "{code}");
        assert!(text("result_preview").len() <= 4 << 10, "{code}");
        assert!(!text("error").contains("ext:"), "{code}: {}", text("error"));
        assert_eq!(server.run("20 + 22")["result"], "42", "after {code}");
        let is_idle = || home.processes().len() <= idle_processes_max;
        let left = processes::within(PATIENCE, is_idle);
        assert!(left, "after {code}: {:?}", home.processes());
    }
    assert!(wrong.is_empty(), "ended otherwise:\n{}", wrong.join("\n"));
    let after = server.usage();
    let grown = after.resident_bytes.saturating_sub(before.resident_bytes);
    assert!(grown < GROWTH_BYTES_MAX, "{before:?} {after:?}");
    // There may be a fork server more, or workers that are parked by now.
    let descriptors_max = before.descriptors + 4 + PIPES * idle_processes_max;
    assert!(after.descriptors <= descriptors_max, "{before:?} {after:?}");
    server.finish();
    home.assert_empty();
}
