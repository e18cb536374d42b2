//! A server that reads again who may call, and how much tenants may use.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;

use crate::tenants_parts::{FIRST, SECOND, bearing, token_file, write_tokens};
use e2e::home::Home;
use e2e::http::{Client, HttpServer};
use e2e::processes;
use e2e::server::{PATIENCE, initialize_params};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

/// Sends the signal, and waits for what the log says of it.
fn reload(server: &HttpServer, told: &str) {
    let before = server.process.log().len();
    server.process.signal(Signal::SIGHUP);
    let is_told = || server.process.log()[before..].contains(told);
    let came = processes::within(PATIENCE, is_told);
    let log = server.process.log();
    assert!(came, "{told:?} is not in:\n{}", &log[before..]);
}

/// A file with those entries that are of this tenant.
fn entries_of(text: &str, tenant: &str) -> String {
    let name = format!("tenant = \"{tenant}\"\n");
    let entries = text.split_inclusive("[[tokens]]\n");
    let kept = entries.filter(|entry| entry.starts_with(&name));
    kept.map(|entry| format!("[[tokens]]\n{}", entry.trim_end_matches("[[tokens]]\n")))
        .collect()
}

/// A session of MCP: its id.
fn open_session(client: &Client) -> String {
    let hello =
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": initialize_params()});
    let opened = bearing(client, "POST", "/mcp", &[], &hello);
    assert_eq!(opened.status, 200, "{opened:?}");
    opened.header("mcp-session-id").to_owned()
}

fn status_in_session(client: &Client, session: &str) -> u16 {
    let list = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"});
    let headers = [("mcp-session-id", session)];
    bearing(client, "POST", "/mcp", &headers, &list).status
}

/// A stream that a tenant has opened and that has begun.
fn open_stream(client: &Client, token: &str, path: &str, more: &str) -> BufReader<TcpStream> {
    let mut stream = client.connect();
    let head = format!(
        "GET {path} HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\
         connection: close\r\nauthorization: Bearer {token}\r\n{more}\r\n"
    );
    stream.write_all(head.as_bytes()).expect("it reads");
    let mut lines = BufReader::new(stream);
    let mut status = String::new();
    lines.read_line(&mut status).expect("it answers");
    assert!(status.contains(" 200 "), "{path}: {status}");
    lines
}

/// Reads a stream to its end, which comes before anybody loses patience.
fn assert_ends(mut stream: BufReader<TcpStream>) {
    let mut line = String::new();
    while stream.read_line(&mut line).expect("it ends in time") > 0 {
        line.clear();
    }
}

#[test]
fn a_token_counts_from_the_reload_that_lists_it_to_the_one_that_does_not() {
    let home = Home::new();
    let path = token_file(&home);
    let all = fs::read_to_string(&path).expect("our own file");
    let (first, second) = (entries_of(&all, "first"), entries_of(&all, "second"));
    write_tokens(&home, &first);
    let server = HttpServer::start(&home, &["--auth-tokens", &path]);
    let (one, two) = (server.with_token(FIRST), server.with_token(SECOND));
    assert_eq!(one.get("/api/executions").status, 200);
    assert_eq!(two.get("/api/executions").status, 401);

    // A new one works.
    write_tokens(&home, &format!("{first}{second}"));
    reload(&server, "the configuration was read again");
    assert_eq!(two.get("/api/executions").status, 200);
    let session = open_session(&two);
    assert_eq!(status_in_session(&two, &session), 200);
    let id = two.submit("console.log('begun'); await new Promise((over) => setTimeout(over, 3e5))");
    let output = format!("/api/executions/{id}/output/stream");
    let output = open_stream(&two, SECOND, &output, "");
    let events = format!("mcp-session-id: {session}\r\n");
    let events = open_stream(&two, SECOND, "/mcp", &events);
    let kept = open_session(&one);
    let kept_events = format!("mcp-session-id: {kept}\r\n");
    let kept_events = open_stream(&one, FIRST, "/mcp", &kept_events);

    // A broken file leaves all as it was, and says so.
    write_tokens(&home, "[[tokens]]\ntenant = 1\n");
    reload(
        &server,
        "the configuration is refused, and the one from before counts: callers",
    );
    for client in [&one, &two] {
        assert_eq!(client.get("/api/executions").status, 200);
    }
    assert_eq!(status_in_session(&two, &session), 200);
    let log = server.process.log();
    assert!(log.contains("tokens.toml is malformed: line 2"), "{log}");

    // One that is gone is refused, in its session too, and its streams end; the other's go on.
    write_tokens(&home, &first);
    reload(&server, "the configuration was read again");
    assert_eq!(two.get("/api/executions").status, 401);
    assert_eq!(status_in_session(&two, &session), 401);
    assert_ends(output);
    assert_ends(events);
    assert_eq!(one.get("/api/executions").status, 200);
    assert_eq!(status_in_session(&one, &kept), 200);
    let peer = kept_events.get_ref();
    peer.set_nonblocking(true).expect("a socket");
    let mut nothing = [0; 1];
    let left = loop {
        match peer.peek(&mut nothing) {
            // What it has sent before, such as signs of life.
            Ok(1..) => std::io::Read::read(&mut &*peer, &mut [0; 4096]).expect("it was there"),
            other => break format!("{other:?}"),
        };
    };
    assert!(
        left.contains("WouldBlock"),
        "the other's stream ended: {left}"
    );
    assert!(!server.process.log().contains("mcpv8_"));
}

#[test]
fn tenants_without_limits_of_their_own_get_new_ones_and_what_they_have_used_stays() {
    let home = Home::new();
    let config = home.path("config.toml");
    let say = |text: &str| fs::write(&config, text).expect("a file in our own directory");
    say("tenant-executions-per-minute = 100\n");
    let named = config.display().to_string();
    let server = HttpServer::start(&home, &["--config", &named]);
    for _ in 0..3 {
        assert_eq!(server.run("1")["result"], "1");
    }
    say("tenant-executions-per-minute = 3\ntenant-queued = 7\n");
    reload(
        &server,
        "changed: tenant-queued, tenant-executions-per-minute",
    );
    let submit = || server.post("/api/exec", &json!({"code": "1"}));
    let refused = submit();
    assert_eq!(refused.error_code(), "quota_exceeded", "{refused:?}");
    // What is wrong changes nothing.
    say("tenant-executions-per-minute = 0\n");
    reload(&server, "the one from before counts");
    assert_eq!(submit().status, 429);
    // What is not said any more has no bound.
    say("");
    reload(
        &server,
        "changed: tenant-queued, tenant-executions-per-minute",
    );
    assert_eq!(submit().status, 202);
    let ready: Value = server.get("/readyz").json();
    assert_eq!(ready["status"], "ready", "{ready}");
}
