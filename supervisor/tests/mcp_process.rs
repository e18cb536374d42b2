//! The program itself: exit codes, kinds of standard streams, signals.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::mcp_client::initialize;
use crate::support::{Home, PATIENCE};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};
use serde_json::{Value, json};

fn program(home: &Home) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-v8"));
    command
        .args(["--stateless", "--worker-start", "exec", "--worker-path"])
        .arg(home.worker("worker"));
    command
        .env_clear()
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn run(id: i64, code: &str, wait_ms: u64) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {
        "name": "run_js", "arguments": {"code": code, "wait_ms": wait_ms},
    }})
}

fn input(messages: &[Value]) -> String {
    messages
        .iter()
        .map(|message| format!("{message}\n"))
        .collect()
}

fn answers(output: &Output) -> Vec<Value> {
    let text = str::from_utf8(&output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Waits for the end, which must come.
fn finish(mut child: Child) -> Output {
    let begin = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begin.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("it hangs");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.wait_with_output().unwrap()
}

fn children_of(parent: u32) -> usize {
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok())
        .filter(|stat| {
            let after_name = stat.rsplit(')').next().unwrap_or_default();
            after_name.split_whitespace().nth(1) == Some(&parent.to_string())
        })
        .count()
}

#[test]
fn faults_of_the_configuration_exit_with_two_and_say_nothing_on_standard_output() {
    let home = Home::new();
    let output = program(&home)
        .args([
            "--heap-memory-max",
            "65",
            "--no-such-flag",
            "--session-db-path",
            "/x",
        ])
        .env("MCP_V8_EXECUTION_TIMEOUT", "soon")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let text = String::from_utf8(output.stderr).unwrap();
    for part in [
        "--heap-memory-max",
        "--no-such-flag",
        "--session-db-path",
        "MCP_V8_EXECUTION",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

#[test]
fn a_worker_that_cannot_serve_stops_the_start() {
    let home = Home::new();
    for (worker, part) in [
        ("missing", "there is no worker program"),
        ("old", "version 0.0.1"),
    ] {
        let path = match worker {
            "missing" => home.directory.path().join("missing"),
            name => home.worker(name),
        };
        let output = Command::new(env!("CARGO_BIN_EXE_mcp-v8"))
            .args(["--stateless", "--worker-start", "exec", "--worker-path"])
            .arg(path)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(output.stdout.is_empty());
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

#[test]
fn all_kinds_of_input_are_read_to_their_end_and_answered() {
    let home = Home::new();
    let text = input(&[initialize(0), run(1, "sleep 300\nfinish 5", 20_000)]);
    let file = home.directory.path().join("input");
    std::fs::write(&file, &text).unwrap();
    let fifo = home.directory.path().join("fifo");
    mkfifo(&fifo, Mode::S_IRWXU).unwrap();
    let (near, far) = std::os::unix::net::UnixStream::pair().unwrap();

    let mut socket = near;
    socket.write_all(text.as_bytes()).unwrap();
    drop(socket);
    // The writer of a named pipe is gone before the program looks at it.
    let held = File::options().read(true).write(true).open(&fifo).unwrap();
    (&held).write_all(text.as_bytes()).unwrap();
    let fifo_input = File::open(&fifo).unwrap();
    drop(held);
    let inputs = [
        ("file", Stdio::from(File::open(&file).unwrap())),
        ("socket", Stdio::from(std::os::fd::OwnedFd::from(far))),
        ("named pipe", Stdio::from(fifo_input)),
    ];
    for (kind, stdin) in inputs {
        let output = finish(program(&home).stdin(stdin).spawn().unwrap());
        assert_eq!(output.status.code(), Some(0), "{kind}: {output:?}");
        let answers = answers(&output);
        assert_eq!(answers.len(), 2, "{kind}: {answers:?}");
        assert_eq!(
            answers[1]["result"]["structuredContent"]["result"], "5",
            "{kind}"
        );
        assert!(
            String::from_utf8(output.stderr)
                .unwrap()
                .contains("stateless"),
            "{kind}"
        );
    }
}

#[test]
fn a_signal_ends_it_cleanly_with_all_answers() {
    let home = Home::new();
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut child = program(&home).stdin(Stdio::piped()).spawn().unwrap();
        let messages = [initialize(0), run(1, "hang", 50_000), run(2, "hang", 0)];
        child
            .stdin
            .as_mut()
            .unwrap()
            .write_all(input(&messages).as_bytes())
            .unwrap();
        let begin = Instant::now();
        while children_of(child.id()) < 2 && begin.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(10));
        }
        // The input stays open: only the signal ends it.
        let stdin = child.stdin.take();
        kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
        let output = finish(child);
        drop(stdin);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let waited = answers(&output)
            .into_iter()
            .find(|answer| answer["id"] == 1)
            .unwrap();
        assert_eq!(
            waited["result"]["structuredContent"]["status"], "cancelled",
            "{waited}"
        );
    }
}

#[test]
fn a_client_that_dies_during_a_wait_is_noticed() {
    let home = Home::new();
    let mut child = program(&home).stdin(Stdio::piped()).spawn().unwrap();
    let messages = [initialize(0), run(1, "hang", 50_000)];
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input(&messages).as_bytes())
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut hello = String::new();
    stdout.read_line(&mut hello).unwrap();
    drop(stdout);
    let begin = Instant::now();
    let output = finish(child);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(
        begin.elapsed() < Duration::from_secs(15),
        "{:?}",
        begin.elapsed()
    );
}

#[test]
fn standard_output_carries_nothing_but_messages_and_the_log_no_code() {
    let home = Home::new();
    let mut child = program(&home)
        .args(["--log-level", "debug"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let secret = "out tOpSeCrEt\nfinish tOpSeCrEt";
    let messages = [initialize(0), run(1, secret, 20_000), run(2, secret, 0)];
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input(&messages).as_bytes()).unwrap();
    stdin
        .write_all(b"{\"tOpSeCrEt\": 1}\n{\"tOpSeCrEt\n")
        .unwrap();
    drop(stdin);
    let mut log = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut log)
        .unwrap();
    let output = finish(child);
    assert_eq!(answers(&output).len(), 5);
    assert!(!log.contains("tOpSeCrEt"), "{log}");
}
