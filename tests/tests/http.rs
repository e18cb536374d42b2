//! The server on HTTP: who is let in, what it survives, how it ends.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::process::CommandExt as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use e2e::home::Home;
use e2e::http::{Client, HttpServer};
use e2e::processes;
use e2e::server::PATIENCE;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

/// A script that runs for a second.
const SECOND: &str = "await new Promise(r => setTimeout(r, 1000)); 'done'";
/// A script that never ends by itself.
const ENDLESS: &str = "for (;;) {}";
/// Clients that ask all the time.
const ASKING: usize = 8;

#[test]
fn health_is_told_to_everybody_and_figures_to_those_who_are_let_in() {
    let home = Home::new();
    let server = HttpServer::start(&home, &[]);
    for path in ["/healthz", "/readyz"] {
        assert_eq!(server.get(path).status, 200);
        let foreign =
            format!("GET {path} HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n");
        assert!(server.raw(foreign.as_bytes()).starts_with("HTTP/1.1 200"));
    }
    server.run("1");
    // It is counted when nothing is left of it, which is a moment later.
    let counted = "mcp_v8_executions_ended_total{status=\"completed\"} 1";
    let is_counted = || server.get("/metrics").body.contains(counted);
    assert!(processes::within(PATIENCE, is_counted));
    let figures = server.get("/metrics");
    for line in [
        "mcp_v8_executions_ended_total{status=\"completed\"} 1",
        "mcp_v8_executions_running 0",
        "mcp_v8_http_requests_total{method=\"GET\",route=\"/healthz\",status=\"200\"} 2",
        "# EOF",
    ] {
        assert!(
            figures.body.contains(line),
            "{line} is not in {}",
            figures.body
        );
    }
    let foreign =
        server.raw(b"GET /metrics HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n");
    assert!(foreign.starts_with("HTTP/1.1 403"), "{foreign}");
    let nothing = server.get("/nothing");
    assert_eq!(
        (nothing.status, nothing.error_code().as_str()),
        (404, "not_found")
    );
}

/// What somebody is told who waits for a script while the server is asked to end; `meanwhile` looks at
/// it in between.
fn told_at_the_end(server: &HttpServer, code: &str, meanwhile: impl FnOnce()) -> Value {
    std::thread::scope(|scope| {
        let client = Client::clone(server);
        let waiting = scope.spawn(move || client.run(code));
        let runs = || {
            let figures = server.get("/metrics").body;
            figures.contains("mcp_v8_executions_running 1")
        };
        assert!(processes::within(PATIENCE, runs));
        server.process.signal(Signal::SIGTERM);
        meanwhile();
        waiting.join().expect("an answer")
    })
}

#[test]
fn a_signal_lets_what_runs_end_and_refuses_what_is_new() {
    let home = Home::new();
    let mut server = HttpServer::start(&home, &["--shutdown-grace", "30"]);
    let told = told_at_the_end(&server, SECOND, || {
        let is_refused = || server.get("/readyz").status == 503;
        assert!(processes::within(PATIENCE, is_refused));
        let refused = server.post("/api/exec", &json!({"code": "1"}));
        assert_eq!(refused.status, 503, "{refused:?}");
        assert_eq!(refused.header("retry-after"), "1");
        assert_eq!(server.get("/healthz").status, 200);
    });
    assert_eq!(told["result"], "done", "{told}");
    let ended = server.process.wait_exit(PATIENCE);
    assert!(ended.success(), "{}", server.process.log());
    home.assert_empty();
}

#[test]
fn what_runs_longer_than_the_grace_is_cancelled_and_told_with_its_id() {
    let home = Home::new();
    let mut server = HttpServer::start(&home, &["--shutdown-grace", "1"]);
    let told = told_at_the_end(&server, ENDLESS, || ());
    assert_eq!(told["status"], "cancelled", "{told}");
    assert!(told["execution_id"].is_string());
    let ended = server.process.wait_exit(PATIENCE);
    assert!(ended.success(), "{}", server.process.log());
    home.assert_empty();
}

#[test]
fn who_asks_while_it_ends_is_answered_or_finds_nobody() {
    for _ in 0..3 {
        let home = Home::new();
        let mut server = HttpServer::start(&home, &[]);
        let (address, asked) = (server.address(), AtomicUsize::new(0));
        let unanswered: Vec<String> = std::thread::scope(|scope| {
            // Each has a connection of its own, and keeps it.
            let ask = || {
                let client = Client::of(address, PATIENCE);
                loop {
                    let looked = client.try_get("/api/executions/none");
                    let body = json!({"code": "1"});
                    match looked.and_then(|_| client.try_send("POST", "/api/exec", &body)) {
                        Ok(_) => asked.fetch_add(1, Ordering::Relaxed),
                        Err(error) => return (!error.is_nobody()).then(|| error.to_string()),
                    };
                }
            };
            let clients: Vec<_> = (0..ASKING).map(|_| scope.spawn(ask)).collect();
            let have_asked = || asked.load(Ordering::Relaxed) > 5 * ASKING;
            let has_begun = processes::within(PATIENCE, have_asked);
            // They end with it, whatever has come of them.
            server.process.signal(Signal::SIGTERM);
            let ended = clients.into_iter().map(|client| client.join());
            let unanswered: Vec<_> = ended.filter_map(|told| told.expect("it ends")).collect();
            assert!(has_begun, "they are not answered: {unanswered:?}");
            unanswered
        });
        assert!(unanswered.is_empty(), "{unanswered:?}");
        let ended = server.process.wait_exit(PATIENCE);
        assert!(ended.success(), "{}", server.process.log());
        home.assert_empty();
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let home = Home::new();
    let mut server = HttpServer::start(&home, &["--shutdown-grace", "3600"]);
    server.submit(ENDLESS);
    server.process.signal(Signal::SIGTERM);
    assert!(processes::within(PATIENCE, || server.get("/readyz").status == 503));
    server.process.signal(Signal::SIGTERM);
    assert_eq!(server.process.wait_exit(PATIENCE).code(), Some(1));
    home.assert_empty();
}

#[test]
fn an_address_that_is_taken_is_told_before_anything_starts() {
    let home = Home::new();
    let server = HttpServer::start(&home, &[]);
    let mut command = home.server("mcp-v8-worker");
    let port = server.address().port().to_string();
    let second = command.args(["--http-port", &port]).output();
    let second = second.expect("it can be executed");
    assert_eq!(second.status.code(), Some(1));
    let text = String::from_utf8_lossy(&second.stderr);
    assert!(
        text.contains(&format!("cannot listen on 127.0.0.1:{port}: Address")),
        "{text}"
    );
}

#[test]
fn malformed_and_ambiguous_requests_are_refused_and_their_connection_is_closed() {
    let home = Home::new();
    let server = HttpServer::start(&home, &[]);
    let body = r#"{"code": "1"}"#;
    let long = "x".repeat(256 << 10);
    let many: String = (0..200).map(|n| format!("x-{n}: y\r\n")).collect();
    let cases = [
        ("no request", "\u{0}\u{1}\u{2}\r\n\r\n".to_owned(), "HTTP/1.1 400"),
        ("HTTP/2 without asking", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), ""),
        ("no host", "GET /metrics HTTP/1.1\r\nconnection: close\r\n\r\n".to_owned(), "HTTP/1.1 400"),
        (
            "two hosts",
            "GET /metrics HTTP/1.1\r\nhost: localhost\r\nhost: localhost\r\nconnection: close\r\n\r\n"
                .to_owned(),
            "HTTP/1.1 400",
        ),
        (
            "a header too long",
            format!("GET /metrics HTTP/1.1\r\nhost: localhost\r\nx: {long}\r\n\r\n"),
            "HTTP/1.1 431",
        ),
        (
            "too many headers",
            format!("GET /metrics HTTP/1.1\r\nhost: localhost\r\n{many}\r\n"),
            "HTTP/1.1 431",
        ),
        (
            "a path too long",
            format!("GET /{long} HTTP/1.1\r\nhost: localhost\r\n\r\n"),
            "HTTP/1.1 4",
        ),
        (
            "two lengths",
            format!("POST /api/exec HTTP/1.1\r\nhost: localhost\r\ncontent-length: 13\r\ncontent-length: 14\r\n\r\n{body}"),
            "HTTP/1.1 400",
        ),
        (
            "a length that is none",
            format!("POST /api/exec HTTP/1.1\r\nhost: localhost\r\ncontent-length: +13\r\n\r\n{body}"),
            "HTTP/1.1 400",
        ),
        (
            "a length and chunks",
            format!("POST /api/exec HTTP/1.1\r\nhost: localhost\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\nd\r\n{body}\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n"),
            "HTTP/1.1 415",
        ),
        (
            "an encoding that is not known",
            format!("POST /api/exec HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: gzip\r\n\r\n{body}"),
            "HTTP/1.1 400",
        ),
        (
            "chunks that are none",
            "POST /api/exec HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n\r\n".to_owned(),
            "HTTP/1.1 400",
        ),
        (
            "a line that is folded",
            "GET /metrics HTTP/1.1\r\nhost: localhost\r\n evil\r\n\r\n".to_owned(),
            "HTTP/1.1 400",
        ),
        (
            "a space before the colon",
            "GET /metrics HTTP/1.1\r\nhost : localhost\r\n\r\n".to_owned(),
            "HTTP/1.1 400",
        ),
        (
            "a body that is announced too large",
            "POST /api/exec HTTP/1.1\r\nhost: localhost\r\ncontent-length: 4194305\r\n\r\n".to_owned(),
            "HTTP/1.1 413",
        ),
    ];
    for (name, bytes, status) in cases {
        let answer = server.raw(bytes.as_bytes());
        assert!(answer.starts_with(status), "{name}: {answer:?}");
        // What is no HTTP/1 at all is not answered.
        let answers = answer.matches("HTTP/1.1 ").count();
        assert_eq!(
            answers,
            usize::from(!status.is_empty()),
            "{name}: {answer:?}"
        );
    }
    assert_eq!(server.run("1 + 1")["result"], "2");
}

#[test]
fn ten_thousand_idle_connections_make_room_for_a_new_one() {
    /// As many as the machine lets this process have, up to these.
    const IDLE: usize = 10_000;
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).expect("up to the hard limit");
    let most = usize::try_from(hard)
        .unwrap_or(usize::MAX)
        .saturating_sub(100);
    let home = Home::new();
    let server = HttpServer::start(&home, &[]);
    let idle: Vec<TcpStream> = (0..IDLE.min(most)).map(|_| server.connect()).collect();
    let begin = Instant::now();
    assert_eq!(server.run("1 + 1")["result"], "2");
    assert!(begin.elapsed() < PATIENCE);
    let figures = server.get("/metrics").body;
    let open = figures
        .lines()
        .find_map(|line| line.strip_prefix("mcp_v8_http_connections "))
        .and_then(|count| count.parse::<usize>().ok());
    assert!(open.is_some_and(|open| open <= 8192), "{open:?}");
    drop(idle);
}

#[test]
fn a_client_that_sends_its_head_slowly_does_not_hold_up_others() {
    let home = Home::new();
    let server = HttpServer::start(&home, &[]);
    let mut slow: Vec<TcpStream> = (0..100).map(|_| server.connect()).collect();
    for stream in &mut slow {
        stream
            .write_all(b"POST /api/exec HTTP/1.1\r\nho")
            .expect("it is open");
    }
    let mut half = server.connect();
    half.write_all(b"POST /api/exec HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{")
        .expect("it is open");
    assert_eq!(server.run("1 + 1")["result"], "2");
    // The body never comes: it is told so, and the connection is closed.
    let mut answer = String::new();
    half.set_read_timeout(Some(Duration::from_secs(45)))
        .expect("a socket has a timeout");
    half.read_to_string(&mut answer).expect("it is closed");
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}

#[test]
fn who_does_not_send_the_body_takes_no_place_among_requests() {
    /// Of the server: half as many connections, and half as many requests again.
    const DESCRIPTORS: u64 = 256;
    const SILENT: usize = 100;
    let home = Home::new();
    let mut command = home.server("mcp-v8-worker");
    command.args(["--http-port", "0"]);
    // SAFETY: between fork and exec, and setrlimit(2) is async-signal-safe.
    unsafe {
        command.pre_exec(|| {
            Ok(setrlimit(
                Resource::RLIMIT_NOFILE,
                DESCRIPTORS,
                DESCRIPTORS,
            )?)
        });
    }
    let server = HttpServer::spawn(command);
    let mut silent: Vec<TcpStream> = (0..SILENT).map(|_| server.connect()).collect();
    for stream in &mut silent {
        stream
            .write_all(b"PUT /api/exec HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{")
            .expect("it is open");
    }
    let answered = server.post("/api/exec", &json!({"code": "1 + 1", "wait_ms": 50_000}));
    assert_eq!(answered.json()["result"], "2", "{answered:?}");
    drop(silent);
}

#[test]
fn a_client_that_is_refused_before_it_has_sent_the_body_keeps_its_connection() {
    let home = Home::new();
    let arguments = [
        "--max-concurrent-executions",
        "1",
        "--max-queued-executions",
        "0",
    ];
    let server = HttpServer::start(&home, &arguments);
    let running = server.submit(ENDLESS);
    let mut stream = server.connect();
    stream
        .set_read_timeout(Some(PATIENCE))
        .expect("a socket has a timeout");
    for _ in 0..3 {
        stream
            .write_all(b"POST /api/exec HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 13\r\n\r\n")
            .expect("it is open");
        let mut answer = Vec::new();
        while !answer.ends_with(b"}}") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("an answer");
            answer.push(byte[0]);
        }
        assert!(
            answer.starts_with(b"HTTP/1.1 429"),
            "{}",
            String::from_utf8_lossy(&answer)
        );
        stream.write_all(b"{\"code\": \"1\"}").expect("it is open");
    }
    server.post(&format!("/api/executions/{running}/cancel"), &json!({}));
}

#[test]
fn only_hosts_and_origins_that_are_known_are_let_in() {
    let home = Home::new();
    let arguments = [
        "--allowed-hosts",
        "app.example",
        "--allowed-origins",
        "https://page.example",
    ];
    let server = HttpServer::start(&home, &arguments);
    let port = server.address().port();
    let own = format!("http://127.0.0.1:{port}");
    let ask = |host: &str, origin: &str| {
        let origin = if origin.is_empty() {
            String::new()
        } else {
            format!("origin: {origin}\r\n")
        };
        let answer = server.raw(
            format!(
                "GET /api/executions HTTP/1.1\r\nhost: {host}\r\n{origin}connection: close\r\n\r\n"
            )
            .as_bytes(),
        );
        answer.split(' ').nth(1).unwrap_or_default().to_owned()
    };
    let here = format!("127.0.0.1:{port}");
    for (host, origin, status) in [
        (here.as_str(), "", "200"),
        ("localhost", "", "200"),
        ("app.example", "", "200"),
        ("app.example", "https://app.example", "200"),
        ("evil.example", "", "403"),
        ("app.example.evil.example", "", "403"),
        (&here, &own, "200"),
        (&here, "https://page.example", "200"),
        (&here, "https://evil.example", "403"),
        (&here, "http://localhost:1", "403"),
        (&here, "null", "403"),
        ("evil.example", "http://evil.example", "403"),
    ] {
        assert_eq!(ask(host, origin), status, "{host} {origin}");
    }
    let preflight = |origin: &str| {
        server.raw(
            format!(
                "OPTIONS /api/exec HTTP/1.1\r\nhost: {here}\r\norigin: {origin}\r\n\
                 access-control-request-method: POST\r\nconnection: close\r\n\r\n"
            )
            .as_bytes(),
        )
    };
    let allowed = preflight("https://page.example");
    assert!(
        allowed.contains("access-control-allow-origin: https://page.example"),
        "{allowed}"
    );
    let refused = preflight("https://evil.example");
    assert!(
        refused.starts_with("HTTP/1.1 403") && !refused.contains("access-control-allow-origin")
    );
}
