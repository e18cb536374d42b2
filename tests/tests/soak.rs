//! Many executions, in a row and at once, a tenth of them hostile: each ends as it should with its own
//! result and output, and what the server takes stays flat.
//!
//! `MCP_E2E_SOAK` sets the number of executions of each test; the default is [`EXECUTIONS_DEFAULT`].

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use e2e::endurance::{Way, serve};
use e2e::flat::Holdings;
use e2e::home::Home;
use e2e::hostile::script;
use e2e::server::{Server, is_final};
use serde_json::{Value, json};

/// Executions of each test when nobody says.
const EXECUTIONS_DEFAULT: usize = 2_000;
/// Executions that are under way at once.
const AT_ONCE: usize = 32;
/// One in so many is hostile.
const HOSTILE_EACH: usize = 10;
/// One in so many of the hostile ones takes all its time, a second.
const SLOW_EACH: usize = 25;
/// The deadline of those that take all they get, and of the others, in seconds.
const SHORT_SECS: u64 = 1;
const LONG_SECS: u64 = 60;

fn executions() -> usize {
    match std::env::var("MCP_E2E_SOAK") {
        Ok(number) => number.parse().expect("MCP_E2E_SOAK is a number"),
        Err(_) => EXECUTIONS_DEFAULT,
    }
}

/// What one execution is, and what it must become.
struct Work {
    code: String,
    deadline_secs: u64,
    /// Status and kind of failure, one of these.
    ends: &'static [(&'static str, &'static str)],
    /// Result and output, of one that completes.
    gives: Option<(String, String)>,
}

const COMPLETED: &[(&str, &str)] = &[("completed", "")];
const MEMORY: &[(&str, &str)] = &[("failed", "memory")];
const EXCEPTION: &[(&str, &str)] = &[("failed", "exception")];
const NO_ROOM: &[(&str, &str)] = &[("failed", "exception"), ("failed", "memory")];
const SYNTAX: &[(&str, &str)] = &[("failed", "syntax")];
const UNHANDLED: &[(&str, &str)] = &[("failed", "unhandled_rejection")];
const UNPRINTABLE: &[(&str, &str)] = &[("failed", "unprintable"), ("failed", "exception")];
const TIMED_OUT: &[(&str, &str)] = &[("timed_out", "")];
const WAITS_FOR_NOTHING: &[(&str, &str)] = &[("failed", "nothing_left_to_wait_for")];
const DIED: &[(&str, &str)] = &[("failed", "worker_died")];
const JAILED: &[(&str, &str)] = &[("failed", "sandbox")];
const START: &[(&str, &str)] = &[("failed", "worker_start")];

/// Scripts that take what they can get, or break what they can reach.
const HOSTILE: &[(&str, &[(&str, &str)])] = &[
    ("const a = []; for (;;) a.push({ a })", MEMORY),
    ("throw null", EXCEPTION),
    (
        "const a = []; for (;;) a.push(new ArrayBuffer(1 << 20))",
        NO_ROOM,
    ),
    ("let s = 'x'; for (;;) s += s", NO_ROOM),
    ("}{", SYNTAX),
    ("JSON.parse('[' + '[1],'.repeat(3e6) + '1]')", MEMORY),
    (
        "for (let i = 0; i < 1e4; i++) Promise.reject(i); 1",
        UNHANDLED,
    ),
    ("(function f() { f() })()", EXCEPTION),
    (
        "new WebAssembly.Memory({ initial: 1 }).grow(60000)",
        NO_ROOM,
    ),
    (
        "const a = []; for (;;) a.push(new Intl.NumberFormat('de', { style: 'unit', unit: 'meter' }))",
        MEMORY,
    ),
    ("throw { toString() { throw 1 } }", UNPRINTABLE),
    ("await new Promise(() => {})", WAITS_FOR_NOTHING),
    (
        "new ArrayBuffer(1 << 20, { maxByteLength: 1 << 30 }).resize(1 << 30)",
        NO_ROOM,
    ),
    ("new Array(1e9).fill(0)", MEMORY),
    (
        "const p = []; for (;;) p.push(new Promise(() => {}))",
        MEMORY,
    ),
    ("eval('['.repeat(1e5))", EXCEPTION),
    (
        "for (const k of Reflect.ownKeys(globalThis)) try { delete globalThis[k] } catch {}; \
         throw 1",
        EXCEPTION,
    ),
    (
        "Object.prototype.then = Array.prototype.push = JSON.stringify = null; throw 1",
        EXCEPTION,
    ),
    (
        "for (let i = 0; i < 2000; i++) console.log('x'.repeat(1000)); throw 1",
        EXCEPTION,
    ),
    (
        "structuredClone(Array.from({ length: 3e6 }, (_, i) => ({ i })))",
        MEMORY,
    ),
];

/// Those that take all their time.
const SLOW: &[&str] = &[
    "for (;;) {}",
    "/(a+)+$/.test('a'.repeat(40) + 'b')",
    "queueMicrotask(function f() { queueMicrotask(f) })",
    "await new Promise(r => setTimeout(r, 1e9))",
    "for (;;) console.log('x'.repeat(1000))",
    "while (true) try { (function f() { f() })() } catch {}",
];

/// A good script, which uses more of the runtime the more often it is asked for one. Each has a result
/// and an output of its own.
fn good(n: usize) -> Work {
    let (code, result) = match n % 5 {
        0 => (format!("{n} + 1"), (n + 1).to_string()),
        1 => (
            format!("const n: number = {n}; `own-${{n}}`"),
            format!("own-{n}"),
        ),
        2 => (
            format!("await new Promise(r => setTimeout(r, 2)); 'late-{n}'"),
            format!("late-{n}"),
        ),
        3 => (
            format!("new URL('http://host/{n}?q').pathname"),
            format!("/{n}"),
        ),
        _ => (
            format!(
                "const seen = globalThis.left; globalThis.left = {n}; \
                 String(seen) + Array.from({{ length: 1000 }}, (_, i) => i + {n})[999]"
            ),
            format!("undefined{}", n + 999),
        ),
    };
    Work {
        code: format!("console.log('output of {n}'); {code}"),
        deadline_secs: LONG_SECS,
        ends: COMPLETED,
        gives: Some((result, format!("output of {n}\n"))),
    }
}

/// The real worker's work: one in [`HOSTILE_EACH`] is hostile.
fn real(n: usize) -> Work {
    if !n.is_multiple_of(HOSTILE_EACH) {
        return good(n);
    }
    let hostile = n / HOSTILE_EACH;
    let (code, ends, deadline_secs) = if hostile % SLOW_EACH == SLOW_EACH - 1 {
        (
            SLOW[hostile / SLOW_EACH % SLOW.len()],
            TIMED_OUT,
            SHORT_SECS,
        )
    } else {
        let (code, ends) = HOSTILE[hostile % HOSTILE.len()];
        (code, ends, LONG_SECS)
    };
    Work {
        code: code.to_owned(),
        deadline_secs,
        ends,
        gives: None,
    }
}

/// What a worker that an attacker owns does: one in [`HOSTILE_EACH`].
fn scripted(n: usize) -> Work {
    const STEPS: &[(&str, &[(&str, &str)])] = &[
        ("exit=3", DIED),
        ("signal=SIGSEGV", DIED),
        ("garbage sleep", DIED),
        ("console=x torn exit=0", DIED),
        ("finished garbage sleep", COMPLETED),
        ("close exit=0", DIED),
        ("words=some-words exit=70", START),
        ("signal=SIGSYS", JAILED),
        ("hello sleep", DIED),
        ("oversize spin", DIED),
        ("bytewise=finished sleep", COMPLETED),
        ("exit=86", MEMORY),
        ("close_output spin", DIED),
        ("signal=SIGKILL", DIED),
    ];
    if !n.is_multiple_of(HOSTILE_EACH) {
        return Work {
            code: format!("own-{n}"),
            deadline_secs: LONG_SECS,
            ends: COMPLETED,
            gives: Some((format!("own-{n}"), String::new())),
        };
    }
    let hostile = n / HOSTILE_EACH;
    let is_slow = hostile % SLOW_EACH == SLOW_EACH - 1;
    let (steps, ends) = if is_slow {
        (
            ["sleep", "flood", "flood_tiny"][hostile / SLOW_EACH % 3],
            TIMED_OUT,
        )
    } else {
        STEPS[hostile % STEPS.len()]
    };
    Work {
        code: script(steps),
        deadline_secs: if is_slow { SHORT_SECS } else { LONG_SECS },
        ends,
        gives: None,
    }
}

/// How many ended in which way.
type Counts = BTreeMap<String, usize>;

/// Runs the work of these numbers, [`AT_ONCE`] under way at any time, each checked.
fn run_many(
    server: &mut Server,
    numbers: std::ops::Range<usize>,
    work: impl Fn(usize) -> Work,
    counts: &mut Counts,
) {
    let mut under_way = VecDeque::new();
    for n in numbers {
        if under_way.len() == AT_ONCE {
            settle(server, under_way.pop_front(), counts);
        }
        let work = work(n);
        let arguments = json!({
            "code": work.code, "wait_ms": 50_000, "execution_timeout_secs": work.deadline_secs,
        });
        under_way.push_back((server.send_call("run_js", arguments), work));
    }
    while !under_way.is_empty() {
        settle(server, under_way.pop_front(), counts);
    }
}

fn settle(server: &mut Server, next: Option<(i64, Work)>, counts: &mut Counts) {
    let Some((call, work)) = next else { return };
    let seen = server.called(call);
    assert!(is_final(&seen), "{}: {seen}", work.code);
    let text = |name: &str| seen[name].as_str().unwrap_or_default();
    let end = (text("status"), text("error_kind"));
    assert!(work.ends.contains(&end), "{}: {seen}", work.code);
    *counts.entry(end.0.to_owned()).or_default() += 1;
    if let Some((result, output)) = &work.gives {
        assert_eq!(text("result"), result, "{}: {seen}", work.code);
        let said = seen["output"]["data"].as_str().unwrap_or_default();
        assert_eq!(said.trim_end(), output.trim_end(), "{}: {seen}", work.code);
    }
}

/// Pages through the whole list; how many there are of each status.
fn rows(server: &mut Server) -> Counts {
    let mut counts = Counts::new();
    let mut cursor = Value::Null;
    loop {
        let page = server.call("list_executions", json!({"limit": 1000, "cursor": cursor}));
        for execution in page["executions"].as_array().expect("a list") {
            let status = execution["status"].as_str().unwrap_or_default();
            *counts.entry(status.to_owned()).or_default() += 1;
        }
        cursor = page["next_cursor"].clone();
        if cursor.is_null() {
            return counts;
        }
    }
}

/// Runs everything on one server: flat after a warm-up, every row there once, nothing left at the end.
fn soak(home: &Home, mut server: Server, work: impl Fn(usize) -> Work) {
    let count = executions();
    let mut counts = Counts::new();
    let warm_up = count / 5;
    run_many(&mut server, 0..warm_up, &work, &mut counts);
    let warm = Holdings::of(&server);
    run_many(&mut server, warm_up..count, &work, &mut counts);
    warm.assert_flat(&server, count - warm_up);
    assert_eq!(rows(&mut server), counts);
    server.finish();
    home.assert_empty();
    let left = std::fs::read_dir(home.path("tmp")).expect("our own directory");
    assert_eq!(left.count(), 0, "a file is left behind");
}

/// All rows are kept, however many there are.
const ARGUMENTS: [&str; 6] = [
    "--max-concurrent-executions",
    "32",
    "--execution-retention-count",
    "1000000",
    "--execution-retention-mb",
    "65536",
];

#[test]
fn real_executions_with_hostile_ones_among_them_leave_nothing() {
    let home = Home::new();
    let server = home.start_with(&ARGUMENTS);
    soak(&home, server, real);
}

#[test]
fn conversations_with_hostile_ones_among_them_leave_nothing() {
    let home = Home::new();
    let server = serve(&home, Way::Exec, &ARGUMENTS);
    soak(&home, server, scripted);
}

#[test]
fn conversations_with_hostile_children_of_a_fork_server_leave_nothing() {
    let home = Home::new();
    let server = serve(&home, Way::Zygote, &ARGUMENTS);
    soak(&home, server, scripted);
}

#[test]
fn a_storm_of_cancels_leaves_nothing() {
    const ROUNDS: u64 = 20;
    for way in [Way::Exec, Way::Zygote] {
        let home = Home::new();
        let mut server = serve(&home, way, &["--max-concurrent-executions", "8"]);
        server.run("warm");
        let warm = Holdings::of(&server);
        for round in 0..ROUNDS {
            storm(&mut server, Duration::from_millis(round % 6));
        }
        warm.assert_flat(&server, 2 * AT_ONCE * usize::try_from(ROUNDS).expect("few"));
        server.finish();
        home.assert_empty();
    }
}

/// Cancels what was submitted this long ago: each is cancelled, or had ended, and says which.
fn storm(server: &mut Server, after: Duration) {
    let ids: Vec<String> = (0..2 * AT_ONCE)
        .map(|n| server.submit(&script(["sleep", "finished sleep"][n % 2])))
        .collect();
    std::thread::sleep(after);
    let calls: Vec<i64> = ids
        .iter()
        .map(|id| server.send_call("cancel_execution", json!({"execution_id": id})))
        .collect();
    for (call, id) in calls.into_iter().zip(&ids) {
        let refused = server.answer(call)["result"]["isError"] == true;
        let status = server.get(id)["status"].clone();
        let wanted = if refused { "completed" } else { "cancelled" };
        assert_eq!(status, wanted);
    }
}

#[test]
fn executions_one_by_one_leave_nothing() {
    let home = Home::new();
    let mut server = home.start();
    let count = executions() / 10;
    let mut warm = None;
    for n in 0..count {
        let seen = server.run(&format!("{n} + 1"));
        assert_eq!(seen["result"], (n + 1).to_string());
        if n == count / 5 {
            warm = Some(Holdings::of(&server));
        }
    }
    let warm = warm.expect("more than a few");
    warm.assert_flat(&server, count - count / 5);
    server.finish();
    home.assert_empty();
}
