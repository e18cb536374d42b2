//! A proxy that does harm on the way to a server.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// What is done to a request or its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// The server is not asked; this status is given, with a text that is no XML.
    Status(u16),
    /// Nobody answers.
    Silence,
    /// The answer stops in its middle, and nobody closes the connection.
    Stop,
    /// The answer is cut in its middle.
    Cut,
    /// The connection is reset before there is an answer.
    Reset,
    /// The server has done it, and the connection is reset before its answer.
    ResetAfterwards,
    /// A bit of the answer's body is flipped.
    WrongAnswer,
    /// A bit of the request's body is flipped.
    WrongRequest,
    /// The answer is not HTTP.
    Garbage,
    /// The answer is fine but for its body, which is no XML.
    Html,
    /// The answer is fine, and empty.
    Yes,
}

/// The proxy. What is planned happens to the next requests; then what is usual.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    plan: Arc<Mutex<Plan>>,
}

struct Plan {
    next: VecDeque<Fault>,
    usual: Fault,
    requests: usize,
}

impl Proxy {
    pub(crate) async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.expect("a free port");
        let plan = Arc::new(Mutex::new(Plan {
            next: VecDeque::new(),
            usual: Fault::None,
            requests: 0,
        }));
        let proxy = Self {
            address: listener.local_addr().expect("it is bound"),
            plan: Arc::clone(&plan),
        };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let plan = Arc::clone(&plan);
                tokio::spawn(async move {
                    // Clients break off, too.
                    let _ = serve(client, server, &plan).await;
                });
            }
        });
        proxy
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Does this to the next requests, and nothing to those after them.
    pub(crate) fn plan(&self, faults: &[Fault]) {
        let mut plan = self.plan.lock().expect("no test panics here");
        plan.next = faults.iter().copied().collect();
        plan.usual = Fault::None;
        plan.requests = 0;
    }

    /// Does this to all requests from now on.
    pub(crate) fn always(&self, fault: Fault) {
        let mut plan = self.plan.lock().expect("no test panics here");
        plan.next.clear();
        plan.usual = fault;
        plan.requests = 0;
    }

    /// Requests since the last plan.
    pub(crate) fn requests(&self) -> usize {
        self.plan.lock().expect("no test panics here").requests
    }
}

impl Plan {
    fn take(&mut self) -> Fault {
        self.requests += 1;
        self.next.pop_front().unwrap_or(self.usual)
    }
}

/// Passes one request on.
async fn serve(client: TcpStream, server: SocketAddr, plan: &Mutex<Plan>) -> std::io::Result<()> {
    let mut client = BufReader::new(client);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if client.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        if line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a number");
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    client.read_exact(&mut body).await?;
    let fault = plan.lock().expect("no test panics here").take();
    if fault == Fault::WrongRequest && length > 0 {
        body[length / 2] ^= 1;
    }
    let answer = match fault {
        Fault::Status(status) => {
            format!("HTTP/1.1 {status} x\r\ncontent-length: 4\r\nconnection: close\r\n\r\nbad!")
                .into_bytes()
        }
        Fault::Garbage => b"\x00\x01 this is not HTTP\r\n\r\n".to_vec(),
        Fault::Yes => b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_vec(),
        Fault::Html => {
            let body = "<html><body><LastModified>soon</Size>";
            let length = body.len();
            format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            )
            .into_bytes()
        }
        Fault::Silence => return std::future::pending().await,
        Fault::Reset => return reset(client),
        _ => {
            let mut stream = TcpStream::connect(server).await?;
            let head = format!("{head}connection: close\r\n\r\n");
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(&body).await?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await?;
            answer
        }
    };
    let body_at = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    let body_at = body_at.map_or(0, |end| end + 4);
    let middle = body_at + (answer.len() - body_at) / 2;
    match fault {
        Fault::ResetAfterwards => reset(client),
        Fault::Cut => client.write_all(&answer[..middle]).await,
        Fault::Stop => {
            client.write_all(&answer[..middle]).await?;
            std::future::pending().await
        }
        Fault::WrongAnswer if middle < answer.len() => {
            let mut answer = answer;
            answer[middle] ^= 1;
            client.write_all(&answer).await
        }
        _ => client.write_all(&answer).await,
    }
}

fn reset(client: BufReader<TcpStream>) -> std::io::Result<()> {
    client.into_inner().set_zero_linger()
}

/// Speaks TLS for a server that does not; gives the address, and writes the certificate into a file.
pub(crate) async fn encrypted(server: SocketAddr, certificate_file: &Path) -> SocketAddr {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("it is made");
    std::fs::write(certificate_file, made.cert.pem()).expect("our own directory");
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider knows them")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("they belong together");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = listener.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut plain = TcpStream::connect(server).await?;
                let accepted = acceptor.accept(client);
                let mut client = tokio::time::timeout(Duration::from_secs(10), accepted).await??;
                tokio::io::copy_bidirectional(&mut client, &mut plain).await
            });
        }
    });
    address
}
