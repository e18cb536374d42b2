//! The real server on HTTP, spoken to by an ordinary client, or in raw bytes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};
use ureq::http::{HeaderMap, HeaderValue, Request};
use ureq::{Agent, AsSendBody, Body};

use crate::home::Home;
use crate::processes;
use crate::server::{PATIENCE, Server};

/// What the log says before the address.
const PLACE: &str = "MCP at http://";

/// A running server.
#[derive(Debug)]
pub struct HttpServer {
    /// Its process.
    pub process: Server,
    client: Client,
}

/// Who asks it. Clones are other clients' connections.
#[derive(Debug, Clone)]
pub struct Client {
    address: SocketAddr,
    agent: Agent,
    /// What it is known by.
    authorization: Option<HeaderValue>,
}

impl std::ops::Deref for HttpServer {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: String,
}

impl Answer {
    /// The body as JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }

    /// A header's text; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default()
    }

    /// The code of the error that it is; empty where it is none.
    pub fn error_code(&self) -> String {
        let code = self.json()["error"]["code"].as_str().map(str::to_owned);
        code.unwrap_or_default()
    }
}

/// No answer came, or not all of it.
#[derive(Debug, thiserror::Error)]
#[error("no answer: {0}")]
pub struct NoAnswer(#[from] ureq::Error);

impl NoAnswer {
    /// Whether nobody was there to be asked: then nothing has happened.
    pub fn is_nobody(&self) -> bool {
        match &self.0 {
            ureq::Error::ConnectionFailed => true,
            ureq::Error::Io(error) => error.kind() == std::io::ErrorKind::ConnectionRefused,
            _ => false,
        }
    }
}

impl HttpServer {
    /// A server with the real worker and its data in `home`, on a free port.
    pub fn start(home: &Home, arguments: &[&str]) -> Self {
        let mut command = home.server("mcp-v8-worker");
        command.args(["--http-port", "0"]).args(arguments);
        Self::spawn(command)
    }

    /// The same on the port of the older transport.
    pub fn start_legacy(home: &Home, arguments: &[&str]) -> Self {
        let mut command = home.server("mcp-v8-worker");
        command.args(["--sse-port", "0"]).args(arguments);
        Self::spawn(command)
    }

    /// Starts a command that listens.
    ///
    /// # Panics
    /// When it does not say where.
    pub fn spawn(command: std::process::Command) -> Self {
        let process = Server::spawn(command);
        let listens = || address(&process.log()).is_some();
        let came = processes::within(PATIENCE, listens);
        assert!(came, "it does not listen:\n{}", process.log());
        let address = address(&process.log()).expect("it was there just now");
        Self {
            process,
            client: Client::of(address, PATIENCE),
        }
    }
}

impl Client {
    /// A client of whatever listens there, with so much patience for each answer.
    pub fn of(address: SocketAddr, patience: Duration) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(patience))
            .build();
        Self {
            address,
            agent: Agent::new_with_config(config),
            authorization: None,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Somebody with this token.
    ///
    /// # Panics
    /// When no header can hold it.
    pub fn with_token(&self, token: &str) -> Self {
        let authorization = HeaderValue::try_from(format!("Bearer {token}"));
        Self {
            authorization: Some(authorization.expect("a token is plain text")),
            ..self.clone()
        }
    }

    /// Asks, and reads the answer whole.
    ///
    /// # Panics
    /// When there is none.
    pub fn ask(&self, request: Request<impl AsSendBody>) -> Answer {
        let answer = self.try_ask(request);
        answer.unwrap_or_else(|error| panic!("{error}"))
    }

    /// The same, for who goes on without an answer.
    ///
    /// # Errors
    /// [`NoAnswer`].
    pub fn try_ask(&self, mut request: Request<impl AsSendBody>) -> Result<Answer, NoAnswer> {
        if let Some(authorization) = &self.authorization {
            let headers = request.headers_mut();
            headers.insert("authorization", authorization.clone());
        }
        Ok(read(self.agent.run(request)?)?)
    }

    /// Gets a path.
    pub fn get(&self, path: &str) -> Answer {
        let request = Request::get(self.url(path)).body(());
        self.ask(request.expect("a request"))
    }

    /// Gets a path, for who goes on without an answer.
    ///
    /// # Errors
    /// [`NoAnswer`].
    ///
    /// # Panics
    /// When there is no such path.
    pub fn try_get(&self, path: &str) -> Result<Answer, NoAnswer> {
        let request = Request::get(self.url(path)).body(());
        self.try_ask(request.expect("a request"))
    }

    /// Sends JSON with a method, for who goes on without an answer.
    ///
    /// # Errors
    /// [`NoAnswer`].
    ///
    /// # Panics
    /// When there is no such path.
    pub fn try_send(&self, method: &str, path: &str, body: &Value) -> Result<Answer, NoAnswer> {
        let request = Request::builder()
            .method(method)
            .uri(self.url(path))
            .header("content-type", "application/json")
            .body(body.to_string());
        self.try_ask(request.expect("a request"))
    }

    /// Sends nothing but a method.
    pub fn bare(&self, method: &str, path: &str) -> Answer {
        let request = Request::builder().method(method).uri(self.url(path));
        self.ask(request.body(()).expect("a request"))
    }

    /// Sends JSON with a method.
    pub fn send(&self, method: &str, path: &str, body: &Value) -> Answer {
        let answer = self.try_send(method, path, body);
        answer.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Posts JSON.
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, body)
    }

    /// Runs a script that goes on from a heap, or from none, and leaves one.
    ///
    /// # Panics
    /// When it does not complete, or leaves none.
    pub fn run_from(&self, code: &str, heap: &Value) -> Value {
        let mut body = json!({"code": code, "session": "work", "wait_ms": 20_000});
        if !heap.is_null() {
            body["heap"] = heap.clone();
        }
        let ended = self.post("/api/exec", &body).json();
        assert_eq!(ended["status"], "completed", "{ended}");
        assert!(ended["heap"].is_string(), "{ended}");
        ended
    }

    /// Runs a script to its end.
    pub fn run(&self, code: &str) -> Value {
        self.post("/api/exec", &json!({"code": code, "wait_ms": 50_000}))
            .json()
    }

    /// Starts a script, and gives its id.
    ///
    /// # Panics
    /// When it is not accepted.
    pub fn submit(&self, code: &str) -> String {
        let answer = self.post("/api/exec", &json!({"code": code}));
        assert_eq!(answer.status, 202, "{answer:?}");
        let id = answer.json()["execution_id"].as_str().map(str::to_owned);
        id.expect("an id")
    }

    /// A connection of one's own, whose reads end after [`PATIENCE`].
    ///
    /// # Panics
    /// When there is none to be had.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("it listens");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a socket has a timeout");
        stream
    }

    /// Sends these bytes, and reads until the server closes the connection.
    pub fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        // The server may have closed it already: what it said is there to be read all the same.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }
}

fn read(answer: ureq::http::Response<Body>) -> Result<Answer, ureq::Error> {
    let (parts, mut body) = answer.into_parts();
    let body = body.with_config().limit(64 << 20).read_to_vec()?;
    Ok(Answer {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}

/// The address that the log names.
fn address(log: &str) -> Option<SocketAddr> {
    let (_, rest) = log.split_once(PLACE)?;
    let (address, _) = rest.split_once('/')?;
    address.parse().ok()
}
