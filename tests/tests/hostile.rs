//! Workers that misbehave in every way that `hostile_worker` knows: a clear end in time, nothing
//! left behind, and the next execution goes well.

use std::process::Stdio;
use std::time::{Duration, Instant};

use e2e::home::{Home, program};
use e2e::hostile::script;
use e2e::processes;
use e2e::server::{PATIENCE, Server, id_of};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

/// The worker that performs the steps that its script names.
const OBEY: &str = "hello obey";
/// How long anything but silence may take.
const PROMPT: Duration = Duration::from_secs(15);
/// How long a worker may stay silent before Hello, and the time to notice.
const SILENCE: Duration = Duration::from_secs(25);

/// A misbehaviour, and words of the error that it leads to.
struct Case {
    steps: &'static str,
    words: &'static [&'static str],
}

const fn case(steps: &'static str, words: &'static [&'static str]) -> Case {
    Case { steps, words }
}

/// Before Hello: no execution, and no server, can do with such a worker.
const BEFORE_HELLO: &[Case] = &[
    case("exit=0", &["ended before it was ready", "code 0"]),
    case("exit=1", &["ended before it was ready", "code 1"]),
    case("exit=3", &["ended before it was ready", "code 3"]),
    case("exit=64", &["ended before it was ready", "code 64"]),
    case("exit=70", &["ended before it was ready", "code 70"]),
    case("exit=76", &["ended before it was ready", "code 76"]),
    case("exit=86", &["ended before it was ready", "code 86"]),
    case("exit=124", &["ended before it was ready", "code 124"]),
    case(
        "words=no-kernel-support exit=70",
        &["code 70", "no-kernel-support"],
    ),
    case("signal=SIGKILL", &["ended before it was ready", "SIGKILL"]),
    case("signal=SIGSEGV", &["ended before it was ready", "SIGSEGV"]),
    case("signal=SIGSYS", &["ended before it was ready", "SIGSYS"]),
    case("hello_of_protocol=99 sleep", &["protocol 99", "one build"]),
    case(
        "hello_of_version=9.9.9 sleep",
        &["version 9.9.9", "one build"],
    ),
    case("hello_of_version=\u{1b}[31mred sleep", &["one build"]),
    case("garbage sleep", &["not a worker", "above the limit"]),
    case("garbage_frame sleep", &["not a worker", "holds no message"]),
    case("empty_frame sleep", &["not a worker", "holds no message"]),
    case("oversize sleep", &["not a worker", "above the limit"]),
    case(
        "oversize_by_one sleep",
        &["not a worker", "above the limit"],
    ),
    case("torn exit=0", &["in the middle of a message"]),
    case("torn close sleep", &["in the middle of a message"]),
    case(
        "console=early sleep",
        &["Console is not legal while Booting"],
    ),
    case("finished sleep", &["Finished is not legal while Booting"]),
    case("hello hello sleep", &[]),
    case("trailing sleep", &["not a worker", "follow the message"]),
    case("bad_utf8 sleep", &["not a worker", "holds no message"]),
    case("long_text sleep", &["not a worker", "Console.text"]),
    case("lying_length sleep", &["not a worker", "holds no message"]),
    case("flood", &["Console is not legal while Booting"]),
    case("flood_tiny", &["Console is not legal while Booting"]),
    case("close sleep", &["closed its pipe"]),
    case("fork exit=70", &["code 70"]),
];

/// Silence before Hello, in several forms: it takes as long as a worker may be silent.
const SILENT_BEFORE_HELLO: &[Case] = &[
    case("sleep", &["said nothing for", "ms"]),
    case("signal=SIGSTOP sleep", &["said nothing for", "ms"]),
    case("trickle sleep", &["said nothing for", "ms"]),
    case("torn sleep", &["said nothing for", "ms"]),
];

/// With the script in its hands: the status that the execution ends with, and words of its error.
const WITH_SCRIPT: &[(&str, &str, &[&str])] = &[
    ("exit=0", "failed", &["without a result"]),
    ("exit=1", "failed", &["code 1"]),
    ("exit=3", "failed", &["code 3"]),
    ("exit=70", "failed", &["code 70"]),
    ("exit=76", "failed", &["code 76"]),
    ("exit=86", "failed", &["memory limit of 8 M"]),
    ("exit=124", "failed", &["code 124"]),
    (
        "words=last-words exit=3",
        "failed",
        &["code 3", "last-words"],
    ),
    ("signal=SIGKILL", "failed", &["SIGKILL"]),
    ("signal=SIGSEGV", "failed", &["SIGSEGV"]),
    ("signal=SIGABRT", "failed", &["SIGABRT"]),
    ("signal=SIGTRAP", "failed", &["SIGTRAP"]),
    ("signal=SIGILL", "failed", &["SIGILL"]),
    ("signal=SIGBUS", "failed", &["SIGBUS"]),
    ("signal=SIGSYS", "failed", &["jail"]),
    ("signal=SIGXCPU", "failed", &["CPU time"]),
    ("signal=SIGTERM", "failed", &["SIGTERM"]),
    (
        "words=Fatal_out_of_memory signal=SIGTRAP",
        "failed",
        &["memory limit of 8 M"],
    ),
    ("garbage sleep", "failed", &["above the limit"]),
    ("garbage_frame sleep", "failed", &["holds no message"]),
    ("empty_frame sleep", "failed", &["holds no message"]),
    ("oversize sleep", "failed", &["above the limit"]),
    ("oversize_by_one sleep", "failed", &["above the limit"]),
    ("torn exit=0", "failed", &["in the middle of a message"]),
    (
        "hello sleep",
        "failed",
        &["Hello is not legal while Running"],
    ),
    ("trailing sleep", "failed", &["follow the message"]),
    ("bad_utf8 sleep", "failed", &["holds no message"]),
    ("long_text sleep", "failed", &["Console.text"]),
    ("lying_length sleep", "failed", &["holds no message"]),
    ("close sleep", "failed", &["closed its pipe"]),
    ("fork exit=0", "failed", &["without a result"]),
    ("fork fork signal=SIGSEGV", "failed", &["SIGSEGV"]),
    ("failed exit=0", "failed", &["told to fail"]),
    ("failed sleep", "failed", &["told to fail"]),
    // The last word counts, whatever comes behind it.
    ("finished exit=0", "completed", &[]),
    ("finished exit=3", "completed", &[]),
    ("finished sleep", "completed", &[]),
    ("finished finished sleep", "completed", &[]),
    ("finished console=late sleep", "completed", &[]),
    ("finished garbage signal=SIGSEGV", "completed", &[]),
    ("finished flood", "completed", &[]),
    ("finished signal=SIGSTOP sleep", "completed", &[]),
    ("slow_finished exit=0", "completed", &[]),
    ("console=x fork finished exit=0", "completed", &[]),
    // Silence and noise last until the deadline.
    ("sleep", "timed_out", &["execution_timeout_secs"]),
    (
        "signal=SIGSTOP sleep",
        "timed_out",
        &["execution_timeout_secs"],
    ),
    ("trickle sleep", "timed_out", &["execution_timeout_secs"]),
    ("torn sleep", "timed_out", &["execution_timeout_secs"]),
    ("flood", "timed_out", &["execution_timeout_secs"]),
    ("flood_tiny", "timed_out", &["execution_timeout_secs"]),
    ("flood_words", "timed_out", &["execution_timeout_secs"]),
];

/// A server over a hostile worker that is good for its start.
fn serve(home: &Home) -> Server {
    home.hostile("worker", OBEY);
    let mut server = Server::spawn(home.server("worker"));
    server.initialize();
    server
}

/// What the execution of a hostile script says at its end, in time.
fn endure(server: &mut Server, code: &str, patience: Duration) -> Value {
    let begin = Instant::now();
    let seen = server.run_with(code, json!({"execution_timeout_secs": 2}));
    let took = begin.elapsed();
    assert!(took < patience, "{took:?} for {code}: {seen}");
    seen
}

fn assert_words(steps: &str, text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{steps}: {word:?} is not in: {text}");
    }
    let clean = text
        .chars()
        .all(|c| !c.is_control() || c == '\n' || c == '\t');
    assert!(clean, "{steps}: control characters in: {text:?}");
}

/// Grandchildren are not the server's to find yet: what holds them is the jail.
fn kill_grandchildren(home: &Home, server: &Server) {
    for entry in home.processes() {
        if entry.parent != server.pid().as_raw() {
            let _already_gone = kill(Pid::from_raw(entry.pid), Signal::SIGKILL);
        }
    }
}

#[test]
fn with_a_script_in_its_hands() {
    let home = Home::new();
    let mut server = serve(&home);
    assert_eq!(server.run("first")["result"], "first");
    let before = server.usage();
    for (steps, status, words) in WITH_SCRIPT {
        let seen = endure(&mut server, &script(steps), PROMPT);
        assert_eq!(seen["status"], *status, "{steps}: {seen}");
        let text = seen["error"].as_str().unwrap_or_default();
        assert_words(steps, text, words);
        assert_eq!(text.is_empty(), *status == "completed", "{steps}: {seen}");
        kill_grandchildren(&home, &server);
        let next = server.run("'next'");
        assert_eq!(next["result"], "'next'", "after {steps}: {next}");
        assert_eq!(
            server.usage().children,
            0,
            "after {steps}: {:?}",
            home.processes()
        );
    }
    let after = server.usage();
    assert!(
        after.descriptors <= before.descriptors + 4,
        "{before:?} {after:?}"
    );
    server.finish();
    home.assert_empty();
}

#[test]
fn before_hello_while_the_server_runs() {
    let home = Home::new();
    let mut server = serve(&home);
    let good = format!("exec={}", program("mcp-v8-worker").display());
    for Case { steps, words } in BEFORE_HELLO {
        if *steps == "hello hello sleep" {
            // Here the second Hello comes after Start, or before: both are illegal.
            continue;
        }
        home.instruct("worker", steps);
        let seen = endure(&mut server, "1", PROMPT);
        assert_eq!(seen["status"], "failed", "{steps}: {seen}");
        assert_eq!(seen["error_kind"], "worker_start", "{steps}: {seen}");
        assert!(seen["started_at"].is_null(), "nothing of it ran: {seen}");
        assert_words(steps, seen["error"].as_str().unwrap_or_default(), words);
        kill_grandchildren(&home, &server);
        home.instruct("worker", &good);
        assert_eq!(server.run("20 + 22")["result"], "42", "after {steps}");
        assert_eq!(
            server.usage().children,
            0,
            "after {steps}: {:?}",
            home.processes()
        );
    }
    home.instruct("worker", "hello hello sleep");
    let seen = endure(&mut server, "1", PROMPT);
    assert_eq!(seen["status"], "failed", "{seen}");
    assert_words(
        "two",
        seen["error"].as_str().unwrap_or_default(),
        &["Hello is not legal"],
    );
    server.finish();
    home.assert_empty();
}

#[test]
fn silence_before_hello_while_the_server_runs() {
    let home = Home::new();
    home.hostile("worker", OBEY);
    let mut command = home.server("worker");
    command.args(["--max-concurrent-executions", "8"]);
    let mut server = Server::spawn(command);
    server.initialize();
    let begin = Instant::now();
    let mut started = Vec::new();
    for Case { steps, .. } in SILENT_BEFORE_HELLO {
        home.instruct("worker", steps);
        let count = server.usage().children;
        started.push(server.submit("1"));
        let grown = || server.usage().children > count;
        assert!(processes::within(PATIENCE, grown), "{steps}");
        // Time to read what it has to do.
        std::thread::sleep(Duration::from_millis(300));
    }
    home.instruct("worker", OBEY);
    for (id, Case { steps, words }) in started.iter().zip(SILENT_BEFORE_HELLO) {
        let seen = server.wait(id);
        assert!(begin.elapsed() < SILENCE, "{steps}: {:?}", begin.elapsed());
        assert_eq!(seen["status"], "failed", "{steps}: {seen}");
        assert_eq!(seen["error_kind"], "worker_start", "{steps}: {seen}");
        assert_words(steps, seen["error"].as_str().unwrap_or_default(), words);
    }
    assert_eq!(server.run("good again")["result"], "good again");
    assert_eq!(server.usage().children, 0);
    server.finish();
    home.assert_empty();
}

#[test]
fn a_worker_that_never_reads_its_script_does_not_hold_up_the_server() {
    let home = Home::new();
    let mut server = serve(&home);
    home.instruct("worker", "hello sleep");
    // Far more than a pipe holds.
    let code = "x".repeat(1 << 20);
    let seen = endure(&mut server, &code, PROMPT);
    assert_eq!(seen["status"], "timed_out", "{}", seen["error"]);
    assert_eq!(server.usage().children, 0);
    home.instruct("worker", OBEY);
    assert_eq!(server.run("again")["result"], "again");
    server.finish();
    home.assert_empty();
}

#[test]
fn a_worker_that_does_not_wait_for_its_script() {
    let home = Home::new();
    let mut server = serve(&home);
    for (steps, words) in [
        ("hello console=x sleep", "Console is not legal while Parked"),
        ("hello finished sleep", "Finished is not legal while Parked"),
        (
            "hello finished exit=0",
            "Finished is not legal while Parked",
        ),
        ("hello garbage sleep", "above the limit"),
    ] {
        home.instruct("worker", steps);
        // More than a pipe holds: it cannot have been read.
        let seen = endure(&mut server, &"x".repeat(1 << 20), PROMPT);
        assert_eq!(seen["status"], "failed", "{steps}: {seen}");
        assert_words(steps, seen["error"].as_str().unwrap_or_default(), &[words]);
        assert_eq!(server.usage().children, 0, "after {steps}");
    }
    home.instruct("worker", OBEY);
    assert_eq!(server.run("again")["result"], "again");
    server.finish();
    home.assert_empty();
}

#[test]
fn such_a_worker_refuses_the_start_of_a_server() {
    for Case { steps, words } in BEFORE_HELLO.iter().chain(&SILENT_BEFORE_HELLO[..1]) {
        if words.is_empty() {
            continue;
        }
        let home = Home::new();
        home.hostile("worker", steps);
        let mut command = home.server("worker");
        command.stdin(Stdio::null());
        let begin = Instant::now();
        let output = command.output().expect("the server can be executed");
        assert!(begin.elapsed() < SILENCE, "{steps}: {:?}", begin.elapsed());
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{steps}: {text}");
        assert!(output.stdout.is_empty(), "{steps}");
        assert!(text.contains("cannot start"), "{steps}: {text}");
        assert_words(steps, &text, words);
        for entry in home.processes() {
            assert_eq!(&steps[..4], "fork", "{steps} left {entry:?}");
            let _already_gone = kill(Pid::from_raw(entry.pid), Signal::SIGKILL);
        }
    }
}

#[test]
fn a_flood_is_bounded_and_readable() {
    let home = Home::new();
    let mut server = serve(&home);
    let before = server.usage().resident_bytes;
    let seen = endure(&mut server, &script("flood"), PROMPT);
    assert_eq!(seen["status"], "timed_out", "{seen}");
    assert_eq!(seen["output_truncated"], true, "{seen}");
    assert_eq!(seen["output_bytes"], 16 << 20, "{seen}");
    let arguments = json!({
        "execution_id": id_of(&seen), "byte_offset": (16 << 20) - 100, "byte_limit": 1000,
    });
    let page = server.call("get_execution_output", arguments);
    assert_eq!(page["data"].as_str().map(str::len), Some(100), "{page}");
    assert_eq!(page["has_more"], false, "{page}");
    let grown = server.usage().resident_bytes.saturating_sub(before);
    assert!(grown < 64 << 20, "it keeps {grown} bytes of a flood");
    server.finish();
}

#[test]
fn workers_are_killed_by_cancel_in_every_state() {
    let home = Home::new();
    let mut server = serve(&home);
    for steps in [
        "sleep",
        "hello sleep",
        "hello start sleep",
        "hello start flood",
        "hello start signal=SIGSTOP sleep",
        "torn sleep",
    ] {
        home.instruct("worker", steps);
        let id = server.submit("x");
        assert!(
            processes::within(PATIENCE, || server.usage().children > 0),
            "{steps}"
        );
        std::thread::sleep(Duration::from_millis(100));
        let begin = Instant::now();
        let done = server.call("cancel_execution", json!({"execution_id": id}));
        assert_eq!(done, json!({"ok": true}), "{steps}");
        assert!(
            begin.elapsed() < Duration::from_secs(5),
            "{steps}: {:?}",
            begin.elapsed()
        );
        assert_eq!(server.get(&id)["status"], "cancelled", "{steps}");
        assert_eq!(server.usage().children, 0, "{steps}");
    }
    server.finish();
    home.assert_empty();
}

#[test]
fn a_server_ends_in_time_with_hostile_workers_running() {
    for steps in [
        "sleep",
        "hello start signal=SIGSTOP",
        "hello start flood",
        "hello start fork sleep",
    ] {
        let home = Home::new();
        let mut server = serve(&home);
        home.instruct("worker", steps);
        server.submit("x");
        assert!(
            processes::within(PATIENCE, || server.usage().children > 0),
            "{steps}"
        );
        server.close_input();
        let status = server.wait_exit(PROMPT);
        assert!(status.success(), "{steps}: {status}; {}", server.log());
        for entry in home.processes() {
            assert!(steps.contains("fork"), "{steps} left {entry:?}");
            let _already_gone = kill(Pid::from_raw(entry.pid), Signal::SIGKILL);
        }
    }
}

#[test]
fn a_worker_killed_from_outside_is_reported_and_replaced() {
    let home = Home::new();
    let mut server = home.start();
    let id = server.submit("console.log('runs'); for (;;) {}");
    server.until_output(&id, 5);
    let workers = processes::children(server.pid());
    assert_eq!(workers.len(), 1, "{workers:?}");
    kill(Pid::from_raw(workers[0].pid), Signal::SIGKILL).expect("it runs");
    let seen = server.wait(&id);
    assert_eq!(seen["status"], "failed", "{seen}");
    assert_words(
        "killed",
        seen["error"].as_str().unwrap_or_default(),
        &["SIGKILL", "memory"],
    );
    assert_eq!(server.run("1")["result"], "1");
    server.finish();
}
