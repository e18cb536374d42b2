//! Workers that misbehave with a script in their hands: a clear end in time, nothing left behind, and
//! the next execution goes well, however workers are started.
//!
//! A result is a flat text in this protocol, so there are no nested or deep ones to send.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use e2e::endurance::{
    DEADLINE_SECS, FAR_DEADLINE_SECS, PROMPT, WORKER, Way, assert_idle, assert_words, endure,
    kill_orphans, serve,
};
use e2e::home::Home;
use e2e::hostile::{OBEY, script};
use e2e::processes;
use e2e::server::{PATIENCE, id_of};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

/// With the script in its hands: the status that the execution ends with, and words of its error.
const WITH_SCRIPT: &[(&str, &str, &[&str])] = &[
    ("exit=0", "failed", &["without a result"]),
    ("exit=1", "failed", &["code 1"]),
    ("exit=3", "failed", &["code 3"]),
    ("exit=70", "failed", &["code 70"]),
    ("exit=76", "failed", &["code 76"]),
    ("exit=86", "failed", &["memory limit of 8 M"]),
    ("exit=124", "failed", &["code 124"]),
    // As a shell says SIGKILL.
    ("exit=137", "failed", &["code 137"]),
    (
        "words=last-words exit=3",
        "failed",
        &["code 3", "last-words"],
    ),
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
        "torn close sleep",
        "failed",
        &["in the middle of a message"],
    ),
    (
        "torn_prefix exit=0",
        "failed",
        &["in the middle of a message"],
    ),
    (
        "console=x torn exit=0",
        "failed",
        &["in the middle of a message"],
    ),
    (
        "hello sleep",
        "failed",
        &["Hello is not legal while Running"],
    ),
    ("trailing sleep", "failed", &["follow the message"]),
    ("unknown_tag sleep", "failed", &["holds no message"]),
    ("no_boolean sleep", "failed", &["holds no message"]),
    ("bad_utf8_result sleep", "failed", &["holds no message"]),
    ("long_result sleep", "failed", &["Completion.result"]),
    ("bad_utf8 sleep", "failed", &["holds no message"]),
    ("long_text sleep", "failed", &["Console.text"]),
    ("lying_length sleep", "failed", &["holds no message"]),
    // Requests that nobody has granted, whatever is said of them, and bad ones.
    ("open=0 sleep", "failed", &["without a grant"]),
    ("open=7@no-url exit=0", "failed", &["without a grant"]),
    ("send=0 sleep", "failed", &["without a grant"]),
    ("send_end=0 sleep", "failed", &["without a grant"]),
    ("pull=4294967295 sleep", "failed", &["without a grant"]),
    ("abort=0 sleep", "failed", &["without a grant"]),
    ("opens=33 sleep", "failed", &["without a grant"]),
    ("flood_open", "failed", &["without a grant"]),
    ("flood_pull", "failed", &["without a grant"]),
    (
        "torn_open exit=0",
        "failed",
        &["in the middle of a message"],
    ),
    ("no_exchange_step sleep", "failed", &["holds no message"]),
    (
        "send_nothing sleep",
        "failed",
        &["Send is 0, not 1 to 65536"],
    ),
    ("long_piece sleep", "failed", &["Send is 65537"]),
    ("long_url sleep", "failed", &["Request.url"]),
    ("many_headers sleep", "failed", &["holds no message"]),
    ("lying_headers sleep", "failed", &["holds no message"]),
    ("fat_headers sleep", "failed", &["Request.headers"]),
    ("close sleep", "failed", &["closed its pipe"]),
    ("close_output spin", "failed", &["closed its pipe"]),
    ("fork exit=0", "failed", &["without a result"]),
    ("fork fork signal=SIGSEGV", "failed", &["SIGSEGV"]),
    // More memory than the kernel would give a worker in its jail, and as much as it would.
    ("grow=300 sleep", "failed", &["memory limit of 8 M"]),
    ("grow=100 finished sleep", "completed", &[]),
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
    ("finished hello sleep", "completed", &[]),
    ("finished failed sleep", "completed", &[]),
    ("finished open=0 pull=0 sleep", "completed", &[]),
    ("finished flood_open", "completed", &[]),
    ("finished torn exit=0", "completed", &[]),
    ("finished torn close sleep", "completed", &[]),
    ("finished oversize spin", "completed", &[]),
    ("close_input finished exit=0", "completed", &[]),
    ("largest exit=0", "completed", &[]),
    (
        "bytewise=console bytewise=finished exit=0",
        "completed",
        &[],
    ),
    ("bytewise=failed exit=0", "failed", &["told to fail"]),
    ("nothing=100000 finished exit=0", "completed", &[]),
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
    ("torn_prefix spin", "timed_out", &["execution_timeout_secs"]),
    (
        "close_input sleep",
        "timed_out",
        &["execution_timeout_secs"],
    ),
    (
        "console=x torn signal=SIGSTOP",
        "timed_out",
        &["execution_timeout_secs"],
    ),
    ("flood_nothing", "timed_out", &["execution_timeout_secs"]),
    ("flood", "timed_out", &["execution_timeout_secs"]),
    ("flood_tiny", "timed_out", &["execution_timeout_secs"]),
    ("flood_words", "timed_out", &["execution_timeout_secs"]),
];

/// What each signal does to a worker that has it raised.
fn end_by_signal(signal: i32) -> (&'static str, String) {
    let name = Signal::try_from(signal).map_or("", Signal::as_str);
    let (status, words) = match signal {
        libc::SIGCHLD | libc::SIGCONT | libc::SIGURG | libc::SIGWINCH => ("completed", ""),
        libc::SIGSTOP | libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU => {
            ("timed_out", "execution_timeout_secs")
        }
        libc::SIGSYS => ("failed", "jail"),
        libc::SIGXCPU => ("failed", "CPU time"),
        _ => ("failed", name),
    };
    (status, words.to_owned())
}

/// Every script of the table, one after the other, on one server.
fn withstand_scripts(way: Way) {
    let home = Home::new();
    let mut server = serve(&home, way, &[]);
    assert_eq!(server.run("first")["result"], "first");
    let before = server.usage();
    let table = WITH_SCRIPT
        .iter()
        .map(|(steps, status, words)| ((*steps).to_owned(), *status, words.to_vec()));
    let signals = (1..=31).map(|signal| {
        let (status, words) = end_by_signal(signal);
        let words: &'static str = words.leak();
        (
            format!("signal={signal} finished exit=0"),
            status,
            vec![words],
        )
    });
    for (steps, status, words) in table.chain(signals) {
        // What has to end by itself has all the time that a busy machine may need.
        let deadline_secs = match status {
            "timed_out" => DEADLINE_SECS,
            _ => FAR_DEADLINE_SECS,
        };
        let seen = endure(&mut server, &script(&steps), deadline_secs, PROMPT);
        assert_eq!(seen["status"], status, "{steps}: {seen}");
        let text = seen["error"].as_str().unwrap_or_default();
        assert_words(&steps, text, &words);
        assert_eq!(text.is_empty(), status == "completed", "{steps}: {seen}");
        kill_orphans(&home, &server);
        let next = server.run("'next'");
        assert_eq!(next["result"], "'next'", "after {steps}: {next}");
        assert_idle(&server, way, &steps);
    }
    let after = server.usage();
    // A fork server and what it has parked have four descriptors each.
    let room = match way {
        Way::Exec => 4,
        Way::Zygote => 4 + 4 * 12,
    };
    assert!(
        after.descriptors <= before.descriptors + room,
        "{before:?} {after:?}"
    );
    server.finish();
    home.assert_empty();
}

#[test]
fn with_a_script_in_its_hands() {
    withstand_scripts(Way::Exec);
}

#[test]
fn with_a_script_in_its_hands_and_a_fork_server_for_a_parent() {
    withstand_scripts(Way::Zygote);
}

#[test]
fn every_execution_has_a_process_that_no_other_has() {
    const EXECUTIONS: usize = 30;
    for way in [Way::Exec, Way::Zygote] {
        let home = Home::new();
        let mut server = serve(&home, way, &[]);
        let mut seen = HashSet::new();
        for _ in 0..EXECUTIONS {
            let done = server.run(&script("mark=here finished sleep"));
            assert_eq!(done["status"], "completed", "{done}");
            let process = home.await_mark(WORKER, "here");
            assert!(seen.insert(process), "{process} has run two scripts");
            let gone = processes::within(PATIENCE, || {
                let all = processes::descendants(server.pid());
                !all.iter().any(|entry| entry.pid == process.as_raw())
            });
            assert!(gone, "{process} is there after its end");
        }
        server.finish();
        home.assert_empty();
    }
}

#[test]
fn a_million_tiny_frames_are_one_text() {
    let home = Home::new();
    for way in [Way::Exec, Way::Zygote] {
        let mut server = serve(&home, way, &[]);
        let before = server.usage().resident_bytes;
        let limits = json!({"execution_timeout_secs": 60});
        let seen = server.run_with(&script("tiny=1000000 finished exit=0"), limits);
        assert_eq!(seen["status"], "completed", "{seen}");
        assert_eq!(seen["output_bytes"], 1_000_000, "{seen}");
        let grown = server.usage().resident_bytes.saturating_sub(before);
        assert!(grown < 64 << 20, "{grown} bytes for a megabyte");
        server.finish();
        home.assert_empty();
        std::fs::remove_file(home.path(WORKER)).expect("a link in our own directory");
    }
}

#[test]
fn a_worker_that_never_reads_its_script_does_not_hold_up_the_server() {
    let home = Home::new();
    let mut server = serve(&home, Way::Exec, &[]);
    home.instruct(WORKER, "hello sleep");
    // Far more than a pipe holds.
    let code = "x".repeat(1 << 20);
    let seen = endure(&mut server, &code, DEADLINE_SECS, PROMPT);
    assert_eq!(seen["status"], "timed_out", "{}", seen["error"]);
    assert_idle(&server, Way::Exec, "it");
    home.instruct(WORKER, OBEY);
    assert_eq!(server.run("again")["result"], "again");
    server.finish();
    home.assert_empty();
}

#[test]
fn a_worker_that_does_not_wait_for_its_script() {
    let home = Home::new();
    let mut server = serve(&home, Way::Exec, &[]);
    for (steps, words) in [
        ("hello console=x sleep", "Console is not legal while Parked"),
        ("hello finished sleep", "Finished is not legal while Parked"),
        ("hello open=0 sleep", "Fetch is not legal while Parked"),
        (
            "hello finished exit=0",
            "Finished is not legal while Parked",
        ),
        ("hello garbage sleep", "above the limit"),
    ] {
        home.instruct(WORKER, steps);
        // More than a pipe holds: it cannot have been read.
        let code = "x".repeat(1 << 20);
        let seen = endure(&mut server, &code, FAR_DEADLINE_SECS, PROMPT);
        assert_eq!(seen["status"], "failed", "{steps}: {seen}");
        assert_words(steps, seen["error"].as_str().unwrap_or_default(), &[words]);
        assert_idle(&server, Way::Exec, steps);
    }
    home.instruct(WORKER, OBEY);
    assert_eq!(server.run("again")["result"], "again");
    server.finish();
    home.assert_empty();
}

#[test]
fn a_flood_is_bounded_and_readable() {
    let home = Home::new();
    let mut server = serve(&home, Way::Exec, &[]);
    let before = server.usage().resident_bytes;
    // Time enough for all that is kept of it, and written down, on a busy machine.
    let seen = endure(&mut server, &script("flood"), 5, PROMPT);
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
    let mut server = serve(&home, Way::Exec, &[]);
    for steps in [
        "mark=there sleep",
        "hello mark=there sleep",
        "hello start mark=there sleep",
        "hello start mark=there flood",
        "hello start mark=there signal=SIGSTOP sleep",
        "torn mark=there sleep",
    ] {
        home.instruct(WORKER, steps);
        let id = server.submit("x");
        home.await_mark(WORKER, "there");
        let begin = Instant::now();
        let done = server.call("cancel_execution", json!({"execution_id": id}));
        assert_eq!(done, json!({"ok": true}), "{steps}");
        assert!(
            begin.elapsed() < Duration::from_secs(5),
            "{steps}: {:?}",
            begin.elapsed()
        );
        assert_eq!(server.get(&id)["status"], "cancelled", "{steps}");
        assert_idle(&server, Way::Exec, steps);
    }
    server.finish();
    home.assert_empty();
}

#[test]
fn a_server_ends_in_time_with_hostile_workers_running() {
    for steps in [
        "mark=there sleep",
        "hello start mark=there signal=SIGSTOP",
        "hello start mark=there flood",
        "hello start fork mark=there sleep",
    ] {
        let home = Home::new();
        let mut server = serve(&home, Way::Exec, &[]);
        home.instruct(WORKER, steps);
        server.submit("x");
        home.await_mark(WORKER, "there");
        server.close_input();
        let status = server.wait_exit(PROMPT);
        assert!(status.success(), "{steps}: {status}; {}", server.log());
        for entry in home.processes() {
            assert!(steps.contains("fork"), "{steps} left {entry:?}");
            let _already_gone = kill(Pid::from_raw(entry.pid), Signal::SIGKILL);
        }
    }
}
