//! MCP over HTTP with the real binary: each way to cancel ends the worker's process, and each way to go
//! away does what its era says.

use std::io::{BufReader, Read as _, Write as _};
use std::net::TcpStream;

use e2e::home::Home;
use e2e::http::{Answer, Client, HttpServer};
use e2e::processes;
use e2e::server::{LEGACY_PROTOCOL, MODERN_PROTOCOL, PATIENCE, initialize_params};
use serde_json::{Value, json};
use ureq::http::Request;

/// A script that never ends by itself, and computes.
const ENDLESS: &str = "console.log('runs'); for (;;) {}";

/// A session of the era with a handshake.
struct Session<'a> {
    client: &'a Client,
    id: String,
}

/// A posted message, with what each era wants beside it.
fn post(client: &Client, headers: &[(&str, &str)], message: &Value) -> Answer {
    let mut request = Request::post(client.url("/mcp"))
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    client.ask(request.body(message.to_string()).expect("a request"))
}

/// The message with an id in an answer, which is JSON or a stream of events.
fn message(answer: &Answer) -> Value {
    let lines = answer.body.lines();
    let events = lines.filter_map(|line| line.strip_prefix("data:"));
    let mut messages = events.filter_map(|data| serde_json::from_str::<Value>(data).ok());
    let found = messages.find(|message| message["id"].is_number());
    found.unwrap_or_else(|| answer.json())
}

impl<'a> Session<'a> {
    fn open(client: &'a Client) -> Self {
        let hello = json!({
            "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": initialize_params(),
        });
        let answer = post(client, &[], &hello);
        assert_eq!(answer.status, 200, "{answer:?}");
        let session = Self {
            client,
            id: answer.header("mcp-session-id").to_owned(),
        };
        session.say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        session
    }

    fn headers(&self) -> [(&str, &str); 2] {
        [
            ("mcp-session-id", &self.id),
            ("mcp-protocol-version", LEGACY_PROTOCOL),
        ]
    }

    fn say(&self, message: &Value) -> Answer {
        post(self.client, &self.headers(), message)
    }

    fn call(&self, id: u64, tool: &str, arguments: &Value) -> Value {
        message(&self.say(&call(id, tool, arguments)))
    }
}

fn call(id: u64, tool: &str, arguments: &Value) -> Value {
    json!({
        "jsonrpc": "2.0", "id": id, "method": "tools/call",
        "params": {"name": tool, "arguments": arguments},
    })
}

/// The same in the era without a handshake.
fn modern_call(id: u64, tool: &str, arguments: &Value) -> Value {
    let mut message = call(id, tool, arguments);
    message["params"]["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": MODERN_PROTOCOL,
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    message
}

/// Posts a message on a connection of its own, whose answer is left to come.
fn begin(client: &Client, headers: &[(&str, &str)], message: &Value) -> TcpStream {
    let body = message.to_string();
    let mut head = format!(
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         accept: application/json, text/event-stream\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut stream = client.connect();
    stream
        .write_all(format!("{head}\r\n{body}").as_bytes())
        .expect("the server reads");
    stream
}

const MODERN_HEADERS: [(&str, &str); 3] = [
    ("mcp-protocol-version", MODERN_PROTOCOL),
    ("mcp-method", "tools/call"),
    ("mcp-name", "run_js"),
];

/// The one execution that runs, once it does.
fn running(client: &Client) -> String {
    let mut id = String::new();
    let runs = || {
        let list = client.get("/api/executions?status=running").json();
        let found = list["executions"][0]["execution_id"].as_str();
        id = found.unwrap_or_default().to_owned();
        !id.is_empty()
    };
    assert!(processes::within(PATIENCE, runs), "nothing runs");
    id
}

/// Asserts that an execution comes to this end soon, and that nothing computes any more.
fn assert_ends(home: &Home, client: &Client, id: &str, status: &str) {
    let path = format!("/api/executions/{id}?wait_ms=50000");
    let execution = client.get(&path).json();
    assert_eq!(execution["status"], status, "{execution}");
    home.assert_calm();
}

fn endless() -> Value {
    json!({"code": ENDLESS, "wait_ms": 50_000, "execution_timeout_secs": 300})
}

#[test]
fn each_way_to_cancel_ends_the_process() {
    let home = Home::new();
    let server = HttpServer::start(&home, &[]);
    let session = Session::open(&server);

    let id = server.submit(ENDLESS);
    running(&server);
    let cancelled = server.post(&format!("/api/executions/{id}/cancel"), &json!({}));
    assert_eq!(cancelled.json(), json!({"ok": true}));
    assert_ends(&home, &server, &id, "cancelled");

    let id = server.submit(ENDLESS);
    running(&server);
    let answer = session.call(2, "cancel_execution", &json!({"execution_id": id}));
    assert_eq!(answer["result"]["structuredContent"], json!({"ok": true}));
    assert_ends(&home, &server, &id, "cancelled");

    let waiting = begin(&server, &session.headers(), &call(3, "run_js", &endless()));
    let id = running(&server);
    session.say(&json!({
        "jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 3},
    }));
    assert_ends(&home, &server, &id, "cancelled");
    drop(waiting);

    let waiting = begin(&server, &session.headers(), &call(4, "run_js", &endless()));
    let id = running(&server);
    let request = Request::delete(server.url("/mcp"))
        .header("mcp-session-id", &session.id)
        .header("mcp-protocol-version", LEGACY_PROTOCOL);
    let gone = server.ask(request.body(()).expect("a request"));
    assert!(gone.status < 300, "{gone:?}");
    assert_ends(&home, &server, &id, "cancelled");
    drop(waiting);
}

#[test]
fn a_client_of_the_stateless_era_that_goes_away_cancels_what_it_waits_for() {
    let home = Home::new();
    let server = HttpServer::start(&home, &[]);
    let waiting = begin(
        &server,
        &MODERN_HEADERS,
        &modern_call(1, "run_js", &endless()),
    );
    let id = running(&server);
    drop(waiting);
    assert_ends(&home, &server, &id, "cancelled");
}

#[test]
fn a_client_of_a_session_that_goes_away_finds_its_execution_again() {
    let home = Home::new();
    let server = HttpServer::start(&home, &[]);
    let session = Session::open(&server);
    let code = "await new Promise(r => setTimeout(r, 1500)); 'ended'";
    let arguments = json!({"code": code, "wait_ms": 50_000});
    let waiting = begin(&server, &session.headers(), &call(2, "run_js", &arguments));
    let id = running(&server);
    drop(waiting);
    assert_ends(&home, &server, &id, "completed");
    let found = session.call(3, "get_execution", &json!({"execution_id": id}));
    assert_eq!(found["result"]["structuredContent"]["result"], "ended");
}

#[test]
fn a_client_of_the_older_transport_has_its_calls_and_takes_them_along() {
    let home = Home::new();
    let server = HttpServer::start_legacy(&home, &[]);
    let mut stream = server.connect();
    stream
        .write_all(b"GET /sse HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\r\n")
        .expect("the server reads");
    let mut events = BufReader::new(stream.try_clone().expect("another end"));
    let endpoint = data(&mut events);
    assert!(endpoint.starts_with("/message?sessionId="), "{endpoint}");
    let hello = json!({
        "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": initialize_params(),
    });
    assert_eq!(server.post(&endpoint, &hello).status, 202);
    let welcome: Value = serde_json::from_str(&data(&mut events)).expect("a message");
    assert_eq!(welcome["result"]["serverInfo"]["name"], "mcp-v8");
    let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    assert_eq!(server.post(&endpoint, &ready).status, 202);
    let sum = call(2, "run_js", &json!({"code": "1 + 1", "wait_ms": 50_000}));
    assert_eq!(server.post(&endpoint, &sum).status, 202);
    let answer: Value = serde_json::from_str(&data(&mut events)).expect("a message");
    assert_eq!(answer["result"]["structuredContent"]["result"], "2");
    let waiting = call(3, "run_js", &endless());
    assert_eq!(server.post(&endpoint, &waiting).status, 202);
    let id = running(&server);
    drop((events, stream));
    assert_ends(&home, &server, &id, "cancelled");
}

/// The data of the next event.
fn data(events: &mut impl std::io::BufRead) -> String {
    let mut line = String::new();
    loop {
        line.clear();
        let read = events.read_line(&mut line).expect("the stream goes on");
        assert!(read > 0, "the stream has ended");
        if let Some(data) = line.trim_end().strip_prefix("data:") {
            return data.trim_start().to_owned();
        }
    }
}

#[test]
fn silence_is_filled_while_a_call_waits() {
    let home = Home::new();
    let server = HttpServer::start(&home, &[]);
    let code = "await new Promise(r => setTimeout(r, 22000)); 'late'";
    let arguments = json!({"code": code, "wait_ms": 50_000});
    let mut waiting = begin(
        &server,
        &MODERN_HEADERS,
        &modern_call(1, "run_js", &arguments),
    );
    let mut answer = String::new();
    let mut bytes = [0; 4096];
    while !answer.contains("\"late\"") {
        let read = waiting.read(&mut bytes).expect("the stream goes on");
        assert!(read > 0, "the stream has ended: {answer}");
        answer.push_str(&String::from_utf8_lossy(
            bytes.get(..read).unwrap_or_default(),
        ));
    }
    let (silence, _) = answer.split_once("\"late\"").unwrap_or_default();
    assert!(silence.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(silence.contains("\n:"), "no comment: {answer}");
}
