//! The API of the real server over HTTP: large bodies and outputs, many clients, clients that leave.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;

use e2e::home::Home;
use e2e::http::{Client, HttpServer};
use e2e::processes;
use e2e::server::PATIENCE;
use serde_json::{Value, json};

/// The largest body of a request.
const BODY_BYTES_MAX: usize = 4 << 20;

/// A request to run that has this many bytes.
fn padded(bytes: usize) -> String {
    let request = r#"{"code": "1 + 1", "wait_ms": 50000}"#;
    let padding = " ".repeat(bytes - request.len());
    format!("{request}{padding}")
}

/// Sends a head and a body on a connection of its own: all that comes back.
fn exchange(client: &Client, head: &str, body: &[u8]) -> String {
    let head = format!(
        "{head} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-type: application/json\r\n"
    );
    client.raw(&[head.as_bytes(), body].concat())
}

#[test]
fn bodies_up_to_the_largest_are_taken_announced_or_in_chunks() {
    let home = Home::new();
    let server = HttpServer::start(&home, &[]);
    for (bytes, is_taken) in [
        (BODY_BYTES_MAX - 1, true),
        (BODY_BYTES_MAX, true),
        (BODY_BYTES_MAX + 1, false),
    ] {
        let body = padded(bytes);
        let announced = format!("content-length: {bytes}\r\n\r\n{body}");
        let mut chunked = "transfer-encoding: chunked\r\n\r\n".to_owned();
        for chunk in body.as_bytes().chunks(100_000) {
            let text = std::str::from_utf8(chunk).expect("it is ASCII");
            write!(chunked, "{:x}\r\n{text}\r\n", chunk.len()).expect("there is memory");
        }
        chunked.push_str("0\r\n\r\n");
        for request in [announced, chunked] {
            let answer = exchange(&server, "POST /api/exec", request.as_bytes());
            if is_taken {
                assert!(answer.starts_with("HTTP/1.1 200"), "{bytes}: {answer}");
                assert!(answer.contains(r#""result":"2""#), "{bytes}: {answer}");
            } else {
                // A client that still sends may be cut off before it has read this.
                let is_told = answer.starts_with("HTTP/1.1 413");
                assert!(is_told || answer.is_empty(), "{bytes}: {answer}");
            }
        }
    }
    // Whoever waits for leave is told before the body is sent.
    let answer = exchange(
        &server,
        "POST /api/exec",
        format!(
            "expect: 100-continue\r\ncontent-length: {}\r\n\r\n",
            BODY_BYTES_MAX + 1
        )
        .as_bytes(),
    );
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(answer.contains("body_too_large"), "{answer}");
    assert_eq!(
        server.get("/api/executions").json()["executions"]
            .as_array()
            .map(Vec::len),
        Some(4)
    );
}

#[test]
fn twenty_clients_run_scripts_at_once() {
    let home = Home::new();
    let server = HttpServer::start(&home, &[]);
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..20)
            .map(|number| {
                let client = Client::clone(&server);
                let code = format!("console.log('n', {number}); {number} * 2");
                (number, scope.spawn(move || client.run(&code)))
            })
            .collect();
        for (number, running) in running {
            let seen = running.join().expect("an answer");
            assert_eq!(seen["result"], (number * 2).to_string(), "{seen}");
            assert_eq!(seen["output"]["data"], format!("n {number}"));
        }
    });
}

/// The events of a stream, as names and data, from this byte on.
fn events(
    client: &Client,
    id: &str,
    offset: usize,
) -> impl Iterator<Item = (String, Value)> + use<> {
    let mut stream = client.connect();
    let request = format!(
        "GET /api/executions/{id}/output/stream HTTP/1.0\r\nhost: localhost\r\n\
         last-event-id: {offset}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("it is open");
    let mut lines = BufReader::new(stream)
        .lines()
        .map(|line| line.expect("it can be read"));
    assert!(lines.next().is_some_and(|line| line.contains(" 200 ")));
    let mut name = String::new();
    lines.filter_map(move |line| {
        if let Some(event) = line.strip_prefix("event: ") {
            event.clone_into(&mut name);
        }
        let data = line.strip_prefix("data: ")?;
        Some((
            name.clone(),
            serde_json::from_str(data).expect("it is JSON"),
        ))
    })
}

#[test]
fn ten_megabytes_of_output_arrive_whole() {
    let home = Home::new();
    let server = HttpServer::start(&home, &[]);
    let seen = server.run(
        "const line = '\u{e9}'.repeat(511); for (let n = 0; n < 10240; n++) console.log(line); 'done'",
    );
    assert_eq!(seen["result"], "done", "{seen}");
    let id = seen["execution_id"].as_str().expect("an id");
    let expected = format!("{}\n", "\u{e9}".repeat(511)).repeat(10_240);
    assert_eq!(seen["output_bytes"], expected.len());
    let mut paged = String::new();
    loop {
        let path = format!(
            "/api/executions/{id}/output?byte_offset={}&byte_limit=1048576",
            paged.len()
        );
        let page = server.get(&path).json();
        paged.push_str(page["data"].as_str().expect("a page"));
        if page["has_more"] == false {
            break;
        }
    }
    assert!(paged == expected, "{} bytes by pages", paged.len());
    let mut streamed = String::new();
    for (name, data) in events(&server, id, 0) {
        match name.as_str() {
            "output" => streamed.push_str(data["data"].as_str().expect("a piece")),
            _ => assert_eq!((name.as_str(), &data["result"]), ("end", &json!("done"))),
        }
    }
    assert!(streamed == expected, "{} bytes as a stream", streamed.len());
}

#[test]
fn output_is_followed_while_the_script_runs_and_a_client_that_leaves_ends_only_its_stream() {
    let home = Home::new();
    let server = HttpServer::start(&home, &["--execution-timeout", "300"]);
    let id = server.submit("console.log('first'); for (;;) {}");
    let mut leaving = events(&server, &id, 0);
    let (name, data) = leaving.next().expect("output");
    assert_eq!(
        (name.as_str(), &data["data"]),
        ("output", &json!("first\n"))
    );
    drop(leaving);
    // Only the connection of this client's own requests is left.
    let is_gone = || {
        let figures = server.get("/metrics").body;
        figures.contains("\nmcp_v8_http_connections 1\n")
    };
    assert!(
        processes::within(PATIENCE, is_gone),
        "{}",
        server.get("/metrics").body
    );
    assert_eq!(
        server.get(&format!("/api/executions/{id}")).json()["status"],
        "running"
    );
    let again = events(&server, &id, 6);
    let cancelled = server.post(&format!("/api/executions/{id}/cancel"), &json!({}));
    assert_eq!(cancelled.status, 200, "{cancelled:?}");
    let rest: Vec<_> = again.collect();
    assert_eq!(rest.len(), 1, "{rest:?}");
    assert_eq!(
        (rest[0].0.as_str(), &rest[0].1["status"]),
        ("end", &json!("cancelled"))
    );
}

#[test]
fn an_execution_goes_on_when_the_client_that_waits_for_it_leaves() {
    let home = Home::new();
    let server = HttpServer::start(&home, &[]);
    let body = json!({
        "code": "await new Promise(r => setTimeout(r, 1000)); 'done'", "wait_ms": 50_000,
    })
    .to_string();
    let mut stream: TcpStream = server.connect();
    let request = format!(
        "POST /api/exec HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).expect("it is open");
    let list = || server.get("/api/executions?status=running").json()["executions"].clone();
    let runs = || list().as_array().is_some_and(|list| list.len() == 1);
    assert!(processes::within(PATIENCE, runs));
    let id = list()[0]["execution_id"].as_str().map(str::to_owned);
    drop(stream);
    let path = format!("/api/executions/{}?wait_ms=50000", id.expect("it runs"));
    let seen = server.get(&path).json();
    assert_eq!(
        (&seen["status"], &seen["result"]),
        (&json!("completed"), &json!("done")),
        "{seen}"
    );
}
