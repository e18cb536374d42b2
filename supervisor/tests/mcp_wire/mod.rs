//! Raw HTTP against routes: over a loopback listener, or without one where time stands still.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

pub(crate) mod stub;

use std::net::SocketAddr;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use axum::{Extension, Router};
use http_body_util::BodyExt as _;
use hyper_util::rt::TokioIo;
use mcp_v8::auth::Caller;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tower::ServiceExt as _;

use crate::support::PATIENCE;

pub(crate) const LEGACY: &str = "2025-06-18";
pub(crate) const MODERN: &str = "2026-07-28";

/// Where requests go.
pub(crate) enum Wire {
    Loopback {
        address: SocketAddr,
        server: JoinHandle<()>,
    },
    Direct(Router),
}

impl Wire {
    pub(crate) fn direct(routes: Router) -> Self {
        Self::Direct(routes.layer(Extension(Caller::local())))
    }

    pub(crate) async fn loopback(routes: Router) -> Self {
        let routes = routes.layer(Extension(Caller::local()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self::Loopback { address, server }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        match self {
            Self::Loopback { address, .. } => *address,
            Self::Direct(_) => panic!("it has no address"),
        }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        timeout(PATIENCE, self.exchange(request)).await.unwrap()
    }

    async fn exchange(&self, request: Request<Body>) -> Reply {
        let (response, connection) = match self {
            Self::Direct(routes) => (routes.clone().oneshot(request).await.unwrap(), None),
            Self::Loopback { address, .. } => {
                let stream = TcpStream::connect(address).await.unwrap();
                let io = TokioIo::new(stream);
                let (mut sender, connection) =
                    hyper::client::conn::http1::handshake(io).await.unwrap();
                let connection = tokio::spawn(async move {
                    // A connection that is cut has an error; so it should.
                    let _ended = connection.await;
                });
                let response = sender.send_request(request).await.unwrap();
                (response.map(Body::new), Some(connection))
            }
        };
        let (parts, body) = response.into_parts();
        Reply {
            status: parts.status,
            headers: parts.headers,
            body,
            read: Vec::new(),
            connection,
        }
    }

    /// Sends a request on a connection from which nothing is read.
    pub(crate) async fn deaf(&self, request: Request<Body>) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let mut stream = socket.connect(self.address()).await.unwrap();
        stream.write_all(&raw(request).await).await.unwrap();
        stream
    }

    /// Posts a message of the stateless era.
    pub(crate) async fn modern(&self, message: Value) -> Reply {
        self.send(modern(message)).await
    }

    /// Posts a message of a session.
    pub(crate) async fn legacy(&self, session: &str, message: &Value) -> Reply {
        self.send(legacy(session, message)).await
    }

    /// Opens a session.
    pub(crate) async fn session(&self) -> String {
        self.session_of(LEGACY).await
    }

    pub(crate) async fn session_of(&self, version: &str) -> String {
        let reply = self.send(post(&initialize(version))).await;
        assert_eq!(reply.status, StatusCode::OK);
        let session = reply.header("mcp-session-id").to_owned();
        let answer = reply.answer().await;
        assert_eq!(answer["result"]["protocolVersion"], version, "{answer}");
        let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        let told = self.legacy(&session, &initialized).await;
        assert_eq!(told.status, StatusCode::ACCEPTED);
        session
    }

    pub(crate) async fn get(&self, session: &str) -> Reply {
        self.send(get(session, None)).await
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if let Self::Loopback { server, .. } = self {
            server.abort();
        }
    }
}

pub(crate) fn initialize(version: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": version, "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    }})
}

pub(crate) fn call(id: impl Into<Value>, tool: &str, arguments: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id.into(), "method": "tools/call",
           "params": {"name": tool, "arguments": arguments}})
}

pub(crate) fn cancel(id: impl Into<Value>) -> Value {
    json!({"jsonrpc": "2.0", "method": "notifications/cancelled",
           "params": {"requestId": id.into()}})
}

/// A POST that is right in all but its body.
pub(crate) fn post_bytes(body: impl Into<Bytes>) -> Request<Body> {
    Request::post("/mcp")
        .header("host", "localhost")
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .body(Body::from(body.into()))
        .unwrap()
}

/// Opens a conversation over HTTP+SSE.
pub(crate) fn sse() -> Request<Body> {
    Request::get("/sse")
        .header("host", "localhost")
        .header("accept", "text/event-stream")
        .body(Body::empty())
        .unwrap()
}

/// Says something in such a conversation.
pub(crate) fn say_bytes(endpoint: &str, body: impl Into<Bytes>) -> Request<Body> {
    Request::post(endpoint)
        .header("host", "localhost")
        .header("content-type", "application/json")
        .body(Body::from(body.into()))
        .unwrap()
}

pub(crate) fn say(endpoint: &str, message: &Value) -> Request<Body> {
    say_bytes(endpoint, message.to_string())
}

pub(crate) fn post(message: &Value) -> Request<Body> {
    post_bytes(message.to_string())
}

pub(crate) fn modern(mut message: Value) -> Request<Body> {
    let meta = &mut message["params"]["_meta"];
    meta["io.modelcontextprotocol/protocolVersion"] = MODERN.into();
    meta["io.modelcontextprotocol/clientCapabilities"] = json!({});
    let mut request = post(&message);
    let headers = request.headers_mut();
    headers.insert("mcp-protocol-version", MODERN.parse().unwrap());
    let method = message["method"].as_str().unwrap();
    headers.insert("mcp-method", method.parse().unwrap());
    if let Some(name) = message["params"]["name"].as_str() {
        headers.insert("mcp-name", name.parse().unwrap());
    }
    request
}

pub(crate) fn legacy(session: &str, message: &Value) -> Request<Body> {
    let mut request = post(message);
    request
        .headers_mut()
        .insert("mcp-session-id", session.parse().unwrap());
    request
}

pub(crate) fn get(session: &str, last_event: Option<&str>) -> Request<Body> {
    let mut request = Request::get("/mcp")
        .header("host", "localhost")
        .header("accept", "text/event-stream")
        .header("mcp-session-id", session);
    if let Some(last_event) = last_event {
        request = request.header("last-event-id", last_event);
    }
    request.body(Body::empty()).unwrap()
}

pub(crate) fn delete(session: &str) -> Request<Body> {
    Request::delete("/mcp")
        .header("host", "localhost")
        .header("mcp-session-id", session)
        .body(Body::empty())
        .unwrap()
}

/// The bytes of a request.
async fn raw(request: axum::http::Request<axum::body::Body>) -> Vec<u8> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let mut text = format!(
        "{} {} HTTP/1.1\r\ncontent-length: {}\r\n",
        parts.method,
        parts.uri,
        body.len()
    );
    for (name, value) in &parts.headers {
        text.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
    }
    text.push_str("\r\n");
    [text.as_bytes(), &body].concat()
}

/// What came back. Dropping it cuts its connection.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    body: Body,
    read: Vec<u8>,
    connection: Option<JoinHandle<()>>,
}

/// One event, or a comment.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Event {
    pub(crate) name: Option<String>,
    pub(crate) id: Option<String>,
    pub(crate) data: Option<String>,
}

impl Event {
    pub(crate) fn is_comment(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(self.data.as_deref().unwrap_or_default()).unwrap_or_default()
    }
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value
            .unwrap_or_else(|| panic!("no {name}"))
            .to_str()
            .unwrap()
    }

    /// The next event or comment; `None` at the end of the stream.
    pub(crate) async fn event(&mut self) -> Option<Event> {
        loop {
            if let Some(end) = self.read.windows(2).position(|two| two == b"\n\n") {
                let block: Vec<u8> = self.read.drain(..end + 2).collect();
                return Some(event(std::str::from_utf8(&block).unwrap()));
            }
            let piece = self.body.frame().await?.ok()?.into_data().unwrap();
            self.read.extend_from_slice(&piece);
        }
    }

    /// The next message.
    pub(crate) async fn message(&mut self) -> Option<Value> {
        loop {
            let event = timeout(PATIENCE, self.event()).await.unwrap()?;
            if event.data.as_deref().is_some_and(|data| !data.is_empty()) {
                return Some(event.json());
            }
        }
    }

    /// The answer: the body, or the last message of the stream.
    pub(crate) async fn answer(mut self) -> Value {
        if !self.header("content-type").starts_with("text/event-stream") {
            return serde_json::from_str(&self.text().await).unwrap();
        }
        let mut answer = Value::Null;
        while let Some(message) = self.message().await {
            answer = message;
        }
        answer
    }

    pub(crate) async fn text(mut self) -> String {
        while let Some(piece) = self.body.frame().await {
            let piece = piece.unwrap().into_data().unwrap();
            self.read.extend_from_slice(&piece);
        }
        String::from_utf8(std::mem::take(&mut self.read)).unwrap()
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some(connection) = &self.connection {
            connection.abort();
        }
    }
}

fn event(block: &str) -> Event {
    let mut event = Event::default();
    for line in block.lines() {
        match line.split_once(':') {
            Some(("event", name)) => event.name = Some(name.trim().to_owned()),
            Some(("id", id)) => event.id = Some(id.trim().to_owned()),
            Some(("data", data)) => event.data = Some(data.trim().to_owned()),
            _ => {}
        }
    }
    event
}
