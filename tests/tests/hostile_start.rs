//! Workers that misbehave before Hello: while a server runs, and at its start.

use std::process::Stdio;
use std::time::Instant;

use e2e::endurance::{
    FAR_DEADLINE_SECS, PROMPT, SILENCE, WORKER, Way, assert_idle, assert_words, endure,
    kill_orphans, serve,
};
use e2e::home::{Home, program};
use e2e::hostile::OBEY;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

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
    case("open=0 sleep", &["Fetch is not legal while Booting"]),
    case("hello hello sleep", &[]),
    case("torn_prefix exit=0", &["in the middle of a message"]),
    case("unknown_tag sleep", &["not a worker", "holds no message"]),
    case("trailing sleep", &["not a worker", "follow the message"]),
    case("bad_utf8 sleep", &["not a worker", "holds no message"]),
    case("long_text sleep", &["not a worker", "Console.text"]),
    case("lying_length sleep", &["not a worker", "holds no message"]),
    case("flood", &["Console is not legal while Booting"]),
    case("flood_tiny", &["Console is not legal while Booting"]),
    case("close sleep", &["closed its pipe"]),
    case("close_output spin", &["closed its pipe"]),
    case("fork exit=70", &["code 70"]),
];

/// Silence before Hello, in several forms: it takes as long as a worker may be silent.
const SILENT_BEFORE_HELLO: &[Case] = &[
    case("sleep", &["said nothing for", "ms"]),
    case("signal=SIGSTOP sleep", &["said nothing for", "ms"]),
    case("trickle sleep", &["said nothing for", "ms"]),
    case("torn sleep", &["said nothing for", "ms"]),
];

#[test]
fn before_hello_while_the_server_runs() {
    let home = Home::new();
    let mut server = serve(&home, Way::Exec, &[]);
    let good = format!("exec={}", program("mcp-v8-worker").display());
    for Case { steps, words } in BEFORE_HELLO {
        if *steps == "hello hello sleep" {
            // Here the second Hello comes after Start, or before: both are illegal.
            continue;
        }
        home.instruct(WORKER, steps);
        let seen = endure(&mut server, "1", FAR_DEADLINE_SECS, PROMPT);
        assert_eq!(seen["status"], "failed", "{steps}: {seen}");
        assert_eq!(seen["error_kind"], "worker_start", "{steps}: {seen}");
        assert!(seen["started_at"].is_null(), "nothing of it ran: {seen}");
        assert_words(steps, seen["error"].as_str().unwrap_or_default(), words);
        kill_orphans(&home, &server);
        home.instruct(WORKER, &good);
        assert_eq!(server.run("20 + 22")["result"], "42", "after {steps}");
        assert_idle(&server, Way::Exec, steps);
    }
    home.instruct(WORKER, "hello hello sleep");
    let seen = endure(&mut server, "1", FAR_DEADLINE_SECS, PROMPT);
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
    let mut server = serve(&home, Way::Exec, &["--max-concurrent-executions", "8"]);
    let begin = Instant::now();
    let mut started = Vec::new();
    for Case { steps, .. } in SILENT_BEFORE_HELLO {
        home.instruct(WORKER, &format!("mark=begun {steps}"));
        started.push(server.submit("1"));
        home.await_mark(WORKER, "begun");
    }
    home.instruct(WORKER, OBEY);
    for (id, Case { steps, words }) in started.iter().zip(SILENT_BEFORE_HELLO) {
        let seen = server.wait(id);
        assert!(begin.elapsed() < SILENCE, "{steps}: {:?}", begin.elapsed());
        assert_eq!(seen["status"], "failed", "{steps}: {seen}");
        assert_eq!(seen["error_kind"], "worker_start", "{steps}: {seen}");
        assert_words(steps, seen["error"].as_str().unwrap_or_default(), words);
    }
    assert_eq!(server.run("good again")["result"], "good again");
    assert_idle(&server, Way::Exec, "it");
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
        home.hostile(WORKER, steps);
        let mut command = home.server(WORKER);
        command
            .args(["--worker-start", "exec"])
            .stdin(Stdio::null());
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
