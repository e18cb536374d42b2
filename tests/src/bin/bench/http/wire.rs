//! A client of the API on one connection that stays open, in bytes: as little as possible of what is
//! measured is to be the client's own.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde::Deserialize;

/// How long an answer is waited for: longer than a request may wait for the end of an execution.
const PATIENCE: Duration = Duration::from_secs(60);
/// What is read at once.
const READ_BYTES: usize = 8 << 10;
/// The end of a head.
const HEAD_END: &[u8] = b"\r\n\r\n";

/// A connection, opened when it is first used and again when it broke.
pub(crate) struct Connection {
    address: SocketAddr,
    stream: Option<TcpStream>,
    bytes: Vec<u8>,
}

/// An answer, as far as it matters here.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Whether it says when to come again.
    pub(crate) has_retry_after: bool,
    body: Vec<u8>,
}

/// An execution as the API tells of it: its id alone where it was only accepted.
#[derive(Deserialize)]
pub(crate) struct Execution {
    pub(crate) execution_id: String,
    pub(crate) status: Option<String>,
    pub(crate) result: Option<String>,
    pub(crate) completed_at: Option<String>,
    /// When the server thinks that it has ended.
    pub(crate) poll_after_ms: Option<u64>,
}

impl Answer {
    /// All of it, as JSON; null where it is none.
    pub(crate) fn body(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The execution that it tells of; `None` where it tells of none.
    pub(crate) fn execution(&self) -> Option<Execution> {
        serde_json::from_slice(&self.body).ok()
    }
}

impl Connection {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            stream: None,
            bytes: Vec::new(),
        }
    }

    /// Connects, so that the first request does not have to.
    pub(crate) fn open(&mut self) -> io::Result<()> {
        if self.stream.is_none() {
            let stream = TcpStream::connect(self.address)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            self.stream = Some(stream);
        }
        Ok(())
    }

    /// Sends a request, and reads the answer whole.
    pub(crate) fn ask(&mut self, request: &[u8]) -> io::Result<Answer> {
        let answer = self.try_ask(request);
        if answer.is_err() {
            // What comes on it later would be taken for the answer to something else.
            self.stream = None;
        }
        answer
    }

    fn try_ask(&mut self, request: &[u8]) -> io::Result<Answer> {
        self.open()?;
        let stream = self.stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        stream.write_all(request)?;
        self.bytes.clear();
        let body_at = loop {
            read_more(stream, &mut self.bytes)?;
            if let Some(at) = find(&self.bytes, HEAD_END) {
                break at + HEAD_END.len();
            }
        };
        let head = String::from_utf8_lossy(&self.bytes[..body_at]).into_owned();
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
        let status = status.ok_or_else(|| malformed(&head))?;
        let length: Option<usize> =
            header(&head, "content-length").and_then(|text| text.parse().ok());
        let length = length.ok_or_else(|| malformed(&head))?;
        while self.bytes.len() < body_at + length {
            read_more(stream, &mut self.bytes)?;
        }
        if self.bytes.len() > body_at + length {
            return Err(malformed(&head));
        }
        if header(&head, "connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
            self.stream = None;
        }
        Ok(Answer {
            status,
            has_retry_after: header(&head, "retry-after").is_some(),
            body: self.bytes.split_off(body_at),
        })
    }
}

fn read_more(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> io::Result<()> {
    let mut piece = [0; READ_BYTES];
    let read = stream.read(&mut piece)?;
    if read == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    bytes.extend_from_slice(&piece[..read]);
    Ok(())
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

fn malformed(head: &str) -> io::Error {
    io::Error::other(format!("not an answer of the API: {head}"))
}

/// The bytes of a GET.
pub(crate) fn get(address: SocketAddr, path: &str, token: Option<&str>) -> Vec<u8> {
    let authorization = authorization(token);
    format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n{authorization}\r\n").into_bytes()
}

/// The bytes of a POST of JSON.
pub(crate) fn post(address: SocketAddr, path: &str, token: Option<&str>, body: &str) -> Vec<u8> {
    send("POST", (address, path), token, body)
}

/// The bytes of a PUT of JSON.
pub(crate) fn put(address: SocketAddr, path: &str, body: &str) -> Vec<u8> {
    send("PUT", (address, path), None, body)
}

fn send(
    method: &str,
    (address, path): (SocketAddr, &str),
    token: Option<&str>,
    body: &str,
) -> Vec<u8> {
    let (authorization, length) = (authorization(token), body.len());
    format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         {authorization}content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

fn authorization(token: Option<&str>) -> String {
    let line = |token| format!("authorization: Bearer {token}\r\n");
    token.map(line).unwrap_or_default()
}
