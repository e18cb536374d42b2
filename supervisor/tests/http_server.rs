//! The server as a whole, over loopback: what stands before the routes, and in which order.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::{Ipv4Addr, SocketAddr};

use crate::mcp_wire::stub::Stub;
use crate::support::{Executions, Home, PATIENCE, start};
use mcp_v8::app::ExecutionsConfig;
use mcp_v8::http::{Access, AllowedHosts, AllowedOrigins, HttpConfig, Listening, Serving, Surface};
use mcp_v8::mcp::{http, sse};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// A server that answers.
struct Served {
    executions: Executions,
    address: SocketAddr,
    serving: Serving,
    _home: Home,
}

impl Served {
    async fn new(surface: Surface) -> Self {
        Self::with(surface, |config| config).await
    }

    async fn with(
        surface: Surface,
        change: impl FnOnce(ExecutionsConfig) -> ExecutionsConfig,
    ) -> Self {
        let home = Home::new();
        let executions = start(change(home.config())).await;
        let here = Ipv4Addr::LOCALHOST;
        let listening = Listening::bind(&HttpConfig {
            address: SocketAddr::from((here, 0)),
            surface,
            hosts: AllowedHosts::new(here.into(), Vec::new()),
            origins: AllowedOrigins::default(),
            tls: None,
            auth: None,
            shutdown_grace: std::time::Duration::ZERO,
        })
        .unwrap();
        let url = listening.url();
        let address = url.strip_prefix("http://").unwrap().parse().unwrap();
        let stop = CancellationToken::new();
        let mcp = match surface {
            Surface::Streamable => {
                http::router(Stub::new(), http::StreamableConfig::default(), stop)
            }
            Surface::Legacy => sse::router(Stub::new(), sse::SseConfig::default(), stop),
        };
        Self {
            serving: listening.serve(executions.whole.clone(), mcp, Access::Everybody),
            executions,
            address,
            _home: home,
        }
    }

    async fn end(self) {
        self.serving.close().await;
        self.executions.shut_down().await;
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Takes the one slot, and the one place before it.
    async fn fill(&self) {
        for _ in 0..2 {
            let body = r#"{"code": "sleep 60000"}"#;
            let head = run_head(body.len());
            let mut stream = self.connect().await;
            stream.write_all((head + body).as_bytes()).await.unwrap();
            assert_eq!(answer(&mut stream).await.status(), "202");
        }
    }

    /// The answer to a request that closes its connection.
    async fn ask(&self, line: &str) -> Answer {
        let head = format!("{line} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        let mut stream = self.connect().await;
        stream.write_all(head.as_bytes()).await.unwrap();
        answer(&mut stream).await
    }
}

/// An answer, read until its connection is closed.
#[derive(Debug)]
struct Answer {
    head: String,
    body: String,
}

impl Answer {
    fn status(&self) -> &str {
        self.head.split(' ').nth(1).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let found = lines.find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }

    /// The code of an error of the API.
    fn code(&self) -> String {
        let error: Value = serde_json::from_str(&self.body).unwrap_or_default();
        error["error"]["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

async fn answer(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    read.expect("an answer").unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    Answer {
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_method_is_told_so_in_one_form_everywhere() {
    for (surface, lines) in [
        (
            Surface::Streamable,
            [
                ("POST /healthz", "GET,HEAD"),
                ("DELETE /readyz", "GET,HEAD"),
                ("PUT /metrics", "GET,HEAD"),
                ("PUT /mcp", "GET,HEAD,POST,DELETE"),
                ("GET /api/exec", "POST"),
            ],
        ),
        (
            Surface::Legacy,
            [
                ("PATCH /healthz", "GET,HEAD"),
                ("TRACE /readyz", "GET,HEAD"),
                ("POST /metrics", "GET,HEAD"),
                ("POST /sse", "GET,HEAD"),
                ("GET /message", "POST"),
            ],
        ),
    ] {
        let served = Served::new(surface).await;
        for (line, allowed) in lines {
            let answer = served.ask(line).await;
            assert_eq!(answer.status(), "405", "{line}: {answer:?}");
            assert_eq!(answer.code(), "method_not_allowed", "{line}: {answer:?}");
            assert_eq!(answer.header("allow"), allowed, "{line}");
            assert_eq!(answer.header("content-type"), "application/json", "{line}");
        }
        served.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_is_there_for_those_who_may_call() {
    for surface in [Surface::Streamable, Surface::Legacy] {
        let served = Served::with(surface, narrow).await;
        // It takes no room that executions and requests need, nor needs any.
        served.fill().await;
        let page = served.ask("GET /console").await;
        assert_eq!(page.status(), "200", "{page:?}");
        assert!(page.body.starts_with("<!doctype html>"), "{page:?}");
        let policy = page.header("content-security-policy");
        assert!(policy.contains("default-src 'none'"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(page.header("access-control-allow-origin").is_empty());
        let code = served.ask("GET /console/main.js").await;
        assert_eq!(
            code.header("content-type"),
            "text/javascript; charset=utf-8"
        );
        assert_eq!(served.ask("GET /console/nothing").await.code(), "not_found");
        for (from, host, refused) in [
            ("x: y", "evil.example", "foreign_host"),
            ("origin: http://evil.example", "localhost", "foreign_origin"),
            ("sec-fetch-site: cross-site", "localhost", "foreign_origin"),
        ] {
            let line = format!(
                "GET /console HTTP/1.1\r\nhost: {host}\r\n{from}\r\nconnection: close\r\n\r\n"
            );
            let mut stream = served.connect().await;
            stream.write_all(line.as_bytes()).await.unwrap();
            let answer = answer(&mut stream).await;
            assert_eq!((answer.status(), answer.code().as_str()), ("403", refused));
        }
        served.executions.cancel_all().await;
        served.end().await;
    }
}

/// The head of a request to run something.
fn run_head(bytes: usize) -> String {
    format!(
        "POST /api/exec HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {bytes}\r\n\r\n"
    )
}

fn narrow(config: ExecutionsConfig) -> ExecutionsConfig {
    ExecutionsConfig {
        max_concurrent: 1,
        queue_length_max: 1,
        ..config
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_refused_before_its_body_is_read() {
    let served = Served::with(Surface::Streamable, narrow).await;
    // Nothing of the bodies ever comes.
    let foreign = run_head(1000).replace("host: localhost", "host: evil.example");
    let large = run_head((4 << 20) + 1);
    for (head, status, code) in [
        (foreign, "403", "foreign_host"),
        (large, "413", "body_too_large"),
    ] {
        let mut stream = served.connect().await;
        stream.write_all(head.as_bytes()).await.unwrap();
        let answer = answer(&mut stream).await;
        assert_eq!(answer.status(), status, "{answer:?}");
        assert_eq!(answer.code(), code);
    }
    served.fill().await;
    for bytes in [1000, 1 << 20] {
        let mut stream = served.connect().await;
        stream.write_all(run_head(bytes).as_bytes()).await.unwrap();
        let mut first = [0; 12];
        let read = timeout(PATIENCE / 2, stream.read_exact(&mut first)).await;
        read.expect("an answer").unwrap();
        assert_eq!(&first, b"HTTP/1.1 429");
    }
    served.executions.cancel_all().await;
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_sends_all_before_it_reads_sees_why_it_is_refused() {
    let served = Served::with(Surface::Streamable, narrow).await;
    served.fill().await;
    let body = "x".repeat(4 << 20);
    let mut stream = served.connect().await;
    stream
        .write_all((run_head(body.len()) + &body).as_bytes())
        .await
        .unwrap();
    let answer = answer(&mut stream).await;
    assert_eq!(answer.status(), "429");
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(answer.code(), "overloaded");
    served.executions.cancel_all().await;
    served.end().await;
}
