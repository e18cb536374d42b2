//! Opens streams and never reads them, and sends requests that never end.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use super::Hostile;

/// Streams of each kind at once.
const STREAMS: usize = 6;
/// Requests of each kind that are not sent to their end.
const HALVES: usize = 4;
/// How long all of them are held.
const HELD: Duration = Duration::from_secs(12);
/// The pause between two bytes of a request that comes slowly.
const DRIP: Duration = Duration::from_millis(500);

/// Prints as long as it may.
const TALK: &str = "const line = 'x'.repeat(1023);
    for (;;) { console.log(line); await new Promise((over) => setTimeout(over, 2)); }";

impl Hostile<'_> {
    pub(super) fn hold_streams(&mut self, at: usize) {
        let script = json!({"code": TALK, "execution_timeout_secs": 2});
        let accepted = self.ask(at, "POST", "/api/exec", &script, &[202, 429]);
        let id =
            accepted.and_then(|answer| answer.json()["execution_id"].as_str().map(str::to_owned));
        let token = &self.tenant.token;
        let head = |method: &str, path: &str, more: &str| {
            format!(
                "{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n{more}"
            )
        };
        let mut beginnings = Vec::new();
        for _ in 0..STREAMS {
            if let Some(id) = &id {
                let path = format!("/api/executions/{id}/output/stream");
                beginnings.push(head("GET", &path, "\r\n"));
            }
            let events = "accept: text/event-stream\r\n\r\n";
            beginnings.push(head("GET", "/mcp", events));
        }
        let body = "content-type: application/json\r\ncontent-length: 100000\r\n\r\n{\"code\": \"";
        for _ in 0..HALVES {
            beginnings.push(head("GET", "/api/executions", ""));
            beginnings.push(head("POST", "/api/exec", body));
            // Not even a line.
            beginnings.push("GET".to_owned());
            beginnings.push(String::new());
        }
        let address = self.victims[at].client.address();
        let mut held = Vec::new();
        for beginning in &beginnings {
            match TcpStream::connect(address) {
                Ok(mut stream) => {
                    // It may be closed already.
                    let _ = stream.write_all(beginning.as_bytes());
                    held.push(stream);
                    self.count("a connection was held");
                }
                Err(error) => {
                    let fault = format!("{}: no connection: {error}", self.tenant.name);
                    self.faults.note(&fault);
                }
            }
        }
        let since = Instant::now();
        while since.elapsed() < HELD && self.clock.goes_on() {
            self.pause(DRIP);
            for stream in held.iter_mut().rev().take(4 * HALVES) {
                let _ = stream.write_all(b"x");
            }
        }
    }
}
