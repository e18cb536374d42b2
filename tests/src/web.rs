//! A server of the web for tests, on loopback: what scripts ask, and what it has seen of them.
//!
//! It speaks HTTP/1.1 in the plainest way, one request for each connection:
//!
//! ```text
//! /text, /json, /bytes         a text with an umlaut, an object, each byte four times
//! /stream/<MiB>                so many MiB in pieces
//! /echo                        the body that came, its method in x-method
//! /count                       how many bytes came
//! /redirect/<status>/<path>    to /<path>
//! /away/<status>/<host>/<path> to the same port of another host
//! /v1/traces                   nothing, as a collector of traces
//! /v1/data/<policy>            that every request is allowed but a DELETE, as OPA
//! /token                       a token, as a server of OAuth
//! /never                       nothing, until the client goes
//! ```

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// What `/text` gives.
pub const TEXT: &str = "gr\u{fc}\u{df}e\n";
/// The pieces in which bodies without a length come.
const PIECE_BYTES: usize = 64 << 10;

/// The server. It ends with the test.
#[derive(Debug)]
pub struct Web {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    seen: Mutex<Vec<Asked>>,
    abandoned: AtomicUsize,
}

/// A request as it came.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// Its method.
    pub method: String,
    /// Its path, with its query.
    pub path: String,
    /// Its headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Its body, where it is kept.
    pub body: Vec<u8>,
}

impl Asked {
    /// All values of a header.
    pub fn header(&self, name: &str) -> Vec<&str> {
        let lines = self.headers.iter().filter(|(known, _)| known == name);
        lines.map(|(_, value)| value.as_str()).collect()
    }
}

impl Web {
    /// Starts one.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let shared = Arc::<Shared>::default();
        let known = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&known);
                // A client that goes is no error of ours.
                thread::spawn(move || drop(serve(&stream, port, &shared)));
            }
        });
        Self { port, shared }
    }

    /// The address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Every request so far.
    pub fn seen(&self) -> Vec<Asked> {
        lock(&self.shared.seen).clone()
    }

    /// How many clients did not wait for an answer.
    pub fn abandoned(&self) -> usize {
        self.shared.abandoned.load(Ordering::SeqCst)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(stream: &TcpStream, port: u16, shared: &Shared) -> io::Result<()> {
    let mut input = BufReader::new(stream);
    let mut asked = head(&mut input)?;
    let path = asked.path.split('?').next().unwrap_or_default().to_owned();
    let mut bytes = 0;
    let is_kept = path != "/count";
    read_body(&mut input, &asked.clone(), |piece| {
        bytes += piece.len();
        if is_kept {
            asked.body.extend_from_slice(piece);
        }
    })?;
    lock(&shared.seen).push(asked.clone());
    let words: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let plain = ("content-type", "text/plain; charset=utf-8".to_owned());
    match words[..] {
        ["text"] => answer(stream, "200 OK", &[plain], TEXT.as_bytes()),
        ["json"] => {
            let json = ("content-type", "application/json".to_owned());
            answer(
                stream,
                "200 OK",
                &[json],
                br#"{"answer": 42, "list": [1, null]}"#,
            )
        }
        ["bytes"] => answer(stream, "200 OK", &[], &every_byte()),
        ["stream", mib] => stream_out(stream, mib.parse().unwrap_or(1)),
        ["echo"] => {
            let method = ("x-method", asked.method.clone());
            answer(stream, "200 OK", &[method], &asked.body)
        }
        ["count"] => answer(stream, "200 OK", &[plain], bytes.to_string().as_bytes()),
        ["redirect", status, to] => {
            answer(stream, status, &[("location", format!("/{to}"))], b"moved")
        }
        ["away", status, host, to] => {
            let to = format!("http://{host}:{port}/{to}");
            answer(stream, status, &[("location", to)], b"moved")
        }
        ["v1", "traces"] => {
            let protobuf = ("content-type", "application/x-protobuf".to_owned());
            answer(stream, "200 OK", &[protobuf], b"")
        }
        ["v1", "data", ..] => {
            let json = ("content-type", "application/json".to_owned());
            let is_allowed = !String::from_utf8_lossy(&asked.body).contains(r#""DELETE""#);
            let said = format!(r#"{{"result": {{"allow": {is_allowed}}}}}"#);
            answer(stream, "200 OK", &[json], said.as_bytes())
        }
        ["token"] => {
            let json = ("content-type", "application/json".to_owned());
            let said = format!(
                r#"{{"access_token": "{}", "token_type": "Bearer", "expires_in": 3600}}"#,
                token(port)
            );
            answer(stream, "200 OK", &[json], said.as_bytes())
        }
        ["never"] => {
            let left = input.read(&mut [0; 1]);
            shared.abandoned.fetch_add(1, Ordering::SeqCst);
            left.map(drop)
        }
        _ => answer(stream, "404 Not Found", &[plain], b"no such thing"),
    }
}

/// What a server at this port gives out as a token.
pub fn token(port: u16) -> String {
    format!("token-{port}-of-{}-in-the-mine", std::process::id())
}

/// Each byte four times.
pub fn every_byte() -> Vec<u8> {
    (0..=u8::MAX).cycle().take(4 * 256).collect()
}

fn head(input: &mut impl BufRead) -> io::Result<Asked> {
    let mut line = String::new();
    input.read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let mut word = || words.next().unwrap_or_default().to_owned();
    let mut asked = Asked {
        method: word(),
        path: word(),
        ..Asked::default()
    };
    loop {
        let mut line = String::new();
        input.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            return Ok(asked);
        };
        let name = name.to_ascii_lowercase();
        asked.headers.push((name, value.trim().to_owned()));
    }
}

fn read_body(
    input: &mut impl BufRead,
    asked: &Asked,
    mut take: impl FnMut(&[u8]),
) -> io::Result<()> {
    if asked.header("transfer-encoding").contains(&"chunked") {
        loop {
            let mut line = String::new();
            input.read_line(&mut line)?;
            let length = usize::from_str_radix(line.trim_end(), 16).map_err(io::Error::other)?;
            read_exactly(input, length, &mut take)?;
            read_exactly(input, 2, &mut |_| {})?;
            if length == 0 {
                return Ok(());
            }
        }
    }
    let length = asked.header("content-length");
    let length = length.first().and_then(|length| length.parse().ok());
    read_exactly(input, length.unwrap_or(0), &mut take)
}

fn read_exactly(
    input: &mut impl Read,
    mut length: usize,
    take: &mut impl FnMut(&[u8]),
) -> io::Result<()> {
    let mut piece = vec![0; PIECE_BYTES.min(length)];
    while length > 0 {
        let now = length.min(piece.len());
        input.read_exact(&mut piece[..now])?;
        take(&piece[..now]);
        length -= now;
    }
    Ok(())
}

fn answer(
    mut stream: &TcpStream,
    status: &str,
    headers: &[(&str, String)],
    body: &[u8],
) -> io::Result<()> {
    let mut head = format!("HTTP/1.1 {status}\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)
}

fn stream_out(mut stream: &TcpStream, mib: usize) -> io::Result<()> {
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n")?;
    let piece = vec![b'x'; PIECE_BYTES];
    for _ in 0..mib * ((1 << 20) / PIECE_BYTES) {
        write!(stream, "{:x}\r\n", piece.len())?;
        stream.write_all(&piece)?;
        stream.write_all(b"\r\n")?;
    }
    stream.write_all(b"0\r\n\r\n")
}
