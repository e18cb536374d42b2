//! Workers that may make requests and misuse that: killed with a clear end, or held up by nobody but
//! themselves; the next execution goes well, and others go on meanwhile.

use std::fs;

use e2e::endurance::{
    DEADLINE_SECS, FAR_DEADLINE_SECS, PROMPT, Way, assert_idle, assert_words, endure, serve,
};
use e2e::home::Home;
use e2e::hostile::script;
use e2e::processes;
use e2e::server::{PATIENCE, Server};
use e2e::web::{Asked, Web};
use mcp_v8_protocol::limits::BODY_CHUNK_BYTES_MAX;
use serde_json::json;

/// Allows everything.
const POLICY: &str = "package mcp.fetch\n\ndefault allow := true\n";

/// The part of the memory that a server may take for what nobody reads, in bytes.
const ROOM_BYTES: u64 = 64 << 20;

/// With a script and a grant in its hands; `{url}` is one that answers, `{stream}` one that goes on, and
/// `{never}` one that does neither. The status that the execution ends with, and words of its error.
const WITH_GRANT: &[(&str, &str, &[&str])] = &[
    ("send=0 sleep", "failed", &["has not opened"]),
    ("pull=0 sleep", "failed", &["has not opened"]),
    // The first may be asked for by then, and ends the body.
    (
        "open=0@{never} send_end=0 send_end=0 sleep",
        "failed",
        &["a piece of a body was sent"],
    ),
    ("abort=7 sleep", "failed", &["has not opened"]),
    ("open=1@{url} sleep", "failed", &["next number"]),
    ("open=4294967295@{url} sleep", "failed", &["next number"]),
    (
        "open=0@{url} open=0@{url} sleep",
        "failed",
        &["next number"],
    ),
    (
        "open=0@{never} abort=0 open=0@{url} sleep",
        "failed",
        &["next number"],
    ),
    // More than is asked for: one piece may be.
    (
        "open=0@{never} send=0 send=0 send=0 send=0 sleep",
        "failed",
        &["not asked for"],
    ),
    ("opens=33@{never} sleep", "failed", &["more exchanges"]),
    ("opens=32@{never} finished exit=0", "completed", &[]),
    ("opens=32@{never} sleep", "timed_out", &[]),
    ("open=0@no-url sleep", "timed_out", &[]),
    ("flood_pull", "failed", &["has not opened"]),
    (
        "open=0@{stream} torn_open exit=0",
        "failed",
        &["middle of a message"],
    ),
    ("open=0@{stream} signal=SIGSEGV", "failed", &["SIGSEGV"]),
    ("open=0@{stream} finished pull=0 sleep", "completed", &[]),
    (
        "open=0@{stream} close_input finished exit=0",
        "completed",
        &[],
    ),
    ("open=0@{stream} close_input sleep", "timed_out", &[]),
    ("get=0@{stream} pull=0 signal=SIGSTOP", "timed_out", &[]),
    ("send_nothing sleep", "failed", &["Send is 0"]),
    ("many_headers sleep", "failed", &["holds no message"]),
];

/// With a body in its hands that is to go once more, to where a redirect leads: `{again}` is one that answers so
/// when it has all of it. As above.
const WITH_BODY: &[(&str, &str, &[&str])] = &[
    // As a worker should.
    (
        "sized=0@{again} feed=0 feed=0 pull=0 pull=0 until=end finished exit=0",
        "completed",
        &[],
    ),
    (
        "large=0@{again} feed=0 feed=0 pull=0 until=data abort=0 finished exit=0",
        "completed",
        &[],
    ),
    // Out of turn: all of it at once, instead of what is asked for; and where there is none.
    (
        "large=0@{again} feed=0 burst=0 sleep",
        "failed",
        &["not asked for"],
    ),
    (
        "large=0@{again} burst=0 sleep",
        "failed",
        &["not asked for"],
    ),
    (
        "get=0@{again} send=0 sleep",
        "failed",
        &["a piece of a body was sent where there is none"],
    ),
    // Twice, where once was announced.
    (
        "sized=0@{never} until=more twice=0 until=failed finished exit=0",
        "completed",
        &[],
    ),
    (
        "sized=0@{again} feed=0 until=more twice=0 until=failed finished exit=0",
        "completed",
        &[],
    ),
    // Not all of it, the second time.
    (
        "sized=0@{again} feed=0 until=more send_end=0 until=failed finished exit=0",
        "completed",
        &[],
    ),
    // Never.
    ("sized=0@{again} sleep", "timed_out", &[]),
    ("sized=0@{again} feed=0 sleep", "timed_out", &[]),
    ("sized=0@{again} feed=0 close_input sleep", "timed_out", &[]),
    // When all is over.
    (
        "sized=0@{again} feed=0 feed=0 pull=0 pull=0 until=end send=0 send_end=0 pull=0 finished exit=0",
        "completed",
        &[],
    ),
    (
        "large=0@{again} feed=0 until=more abort=0 send=0 send_end=0 finished exit=0",
        "completed",
        &[],
    ),
    (
        "large=0@{again} feed=0 until=more finished exit=0",
        "completed",
        &[],
    ),
    (
        "large=0@{again} feed=0 until=more signal=SIGSEGV",
        "failed",
        &["SIGSEGV"],
    ),
];

fn serve_with_grant(home: &Home, way: Way) -> Server {
    let directory = home.path("policies");
    if !directory.exists() {
        fs::create_dir(&directory).expect("a directory in our own");
        fs::write(directory.join("fetch.rego"), POLICY).expect("a file in our own directory");
    }
    serve(
        home,
        way,
        &["--policy-dir", "policies", "--fetch-allow-private"],
    )
}

fn with_urls(steps: &str, web: &Web) -> String {
    steps
        .replace("{url}", &web.url("/text"))
        .replace("{again}", &web.url("/redirect/307/echo"))
        .replace("{stream}", &web.url("/stream/100"))
        .replace("{never}", &web.url("/never"))
}

/// Withstands each of these; what a server of the web has seen of them.
fn withstand(way: Way, acts: &[(&str, &str, &[&str])]) -> Vec<Asked> {
    let (home, web) = (Home::new(), Web::start());
    let mut server = serve_with_grant(&home, way);
    for (steps, status, words) in acts {
        let deadline_secs = match *status {
            "timed_out" => DEADLINE_SECS,
            _ => FAR_DEADLINE_SECS,
        };
        let code = script(&with_urls(steps, &web));
        let seen = endure(&mut server, &code, deadline_secs, PROMPT);
        assert_eq!(seen["status"], *status, "{steps}: {seen}");
        assert_words(steps, seen["error"].as_str().unwrap_or_default(), words);
        assert_eq!(server.run("'next'")["result"], "'next'", "after {steps}");
        assert_idle(&server, way, steps);
    }
    server.finish();
    home.assert_empty();
    web.seen()
}

#[test]
fn with_a_grant_in_its_hands() {
    withstand(Way::Exec, WITH_GRANT);
}

#[test]
fn with_a_grant_in_its_hands_and_a_fork_server_for_a_parent() {
    withstand(Way::Zygote, WITH_GRANT);
}

/// What came of bodies whose senders did not keep their word: all of one, or nothing.
fn assert_whole(seen: &[Asked]) {
    let again: Vec<&Asked> = seen.iter().filter(|asked| asked.path == "/echo").collect();
    // Of those who did as they should, and of one who aborted only then.
    assert_eq!(again.len(), 3, "{again:?}");
    for asked in seen.iter().filter(|asked| asked.method == "POST") {
        let mut pieces = asked.body.chunks(BODY_CHUNK_BYTES_MAX);
        let is_right = |piece: &[u8]| b"unasked".iter().cycle().take(piece.len()).eq(piece);
        assert!(pieces.all(is_right), "{}: other bytes", asked.path);
        let is_whole = [7, 1 << 20].contains(&asked.body.len());
        assert!(is_whole, "{}: {} bytes", asked.path, asked.body.len());
    }
}

#[test]
fn with_a_body_in_its_hands_that_goes_again() {
    assert_whole(&withstand(Way::Exec, WITH_BODY));
}

#[test]
fn with_a_body_in_its_hands_that_goes_again_and_a_fork_server_for_a_parent() {
    assert_whole(&withstand(Way::Zygote, WITH_BODY));
}

#[test]
fn a_worker_that_never_sends_its_body_again_holds_up_nobody() {
    let (home, web) = (Home::new(), Web::start());
    let mut server = serve_with_grant(&home, Way::Exec);
    let opens: String = (0..8)
        .map(|n| format!("sized={n}@{{again}} feed={n} "))
        .collect();
    let id = server.submit(&script(&with_urls(
        &format!("{opens}mark=there sleep"),
        &web,
    )));
    home.await_mark(e2e::endurance::WORKER, "there");
    let honest = with_urls(WITH_BODY[0].0, &web);
    for _ in 0..5 {
        let seen = endure(&mut server, &script(&honest), FAR_DEADLINE_SECS, PROMPT);
        assert_eq!(seen["status"], "completed", "{seen}");
    }
    server.call("cancel_execution", json!({"execution_id": id}));
    assert_eq!(server.get(&id)["status"], "cancelled");
    server.finish();
    home.assert_empty();
}

#[test]
fn a_worker_that_reads_no_reply_costs_no_memory_and_holds_up_nobody() {
    let (home, web) = (Home::new(), Web::start());
    let mut server = serve_with_grant(&home, Way::Exec);
    assert_eq!(server.run("first")["result"], "first");
    let before = server.usage().resident_bytes;
    let (opens, pulls): (String, String) = (0..32)
        .map(|n| (format!("get={n}@{{stream}} "), format!("pull={n} ")))
        .unzip();
    // Pieces are asked for, and none is read.
    let steps = with_urls(&format!("{opens}{pulls}mark=there sleep"), &web);
    let id = server.submit(&script(&steps));
    home.await_mark(e2e::endurance::WORKER, "there");
    assert_eq!(server.run("meanwhile")["result"], "meanwhile");
    let grown = server.usage().resident_bytes.saturating_sub(before);
    assert!(
        grown < ROOM_BYTES,
        "it keeps {grown} bytes that nobody reads"
    );
    server.call("cancel_execution", json!({"execution_id": id}));
    assert_eq!(server.get(&id)["status"], "cancelled");
    server.finish();
    home.assert_empty();
}

#[test]
fn a_flood_of_requests_is_bounded_and_others_go_on() {
    let (home, web) = (Home::new(), Web::start());
    let mut server = serve_with_grant(&home, Way::Exec);
    let before = server.usage().resident_bytes;
    let id = server.submit(&script(&with_urls("mark=there flood_open=0@{never}", &web)));
    home.await_mark(e2e::endurance::WORKER, "there");
    for _ in 0..20 {
        let seen = endure(&mut server, "meanwhile", FAR_DEADLINE_SECS, PROMPT);
        assert_eq!(seen["result"], "meanwhile", "{seen}");
    }
    let grown = server.usage().resident_bytes.saturating_sub(before);
    assert!(grown < ROOM_BYTES, "it keeps {grown} bytes of a flood");
    // It may have been killed for it.
    let _ended = server.send_call("cancel_execution", json!({"execution_id": id}));
    let over = processes::within(PATIENCE, || server.get(&id)["status"] != "running");
    assert!(over, "it runs on");
    assert_idle(&server, Way::Exec, "a flood of requests");
    server.finish();
    home.assert_empty();
}
