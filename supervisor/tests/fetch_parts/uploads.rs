//! Bodies that a server does not take: what is left of them goes with their exchanges.

use std::convert::Infallible;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::StreamBody;
use hyper::body::{Bytes, Frame, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use mcp_v8_protocol::fetch::{CallStep, ExchangeId, ReplyStep, RequestBody};
use nix::sys::socket::{setsockopt, sockopt};
use rcgen::{CertifiedKey, KeyPair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::server::TlsStream;

use super::client::{PATIENCE, Worker, World, get, header, post};
use super::servers::{Server, head, listen};
use super::tls::{acceptor, https, identity, trusting};

/// How many bodies are given up.
const UPLOADS: usize = 300;
/// Each is as large as one that is sent at once may be.
const BODY_BYTES: usize = 64 << 10;
/// What may be more in memory afterwards: far less than these bodies.
const LEFT_BYTES_MAX: usize = UPLOADS * BODY_BYTES / 8;

/// What a server has seen: heads, and bodies that it does not read.
#[derive(Debug, Default)]
struct Seen {
    heads: AtomicUsize,
    unread: Mutex<Vec<Incoming>>,
}

/// Gives the head of an answer at `/head`, and nothing anywhere else, and reads no body. Over HTTP/2 there
/// is no room for one; over HTTP/1.1 what comes is not even deciphered.
async fn reading_nothing(
    identity: &CertifiedKey<KeyPair>,
    protocols: &[&str],
) -> (Server, Arc<Seen>) {
    let acceptor = acceptor(identity, protocols);
    let seen = Arc::<Seen>::default();
    let shared = Arc::clone(&seen);
    let server = listen(move |stream| {
        let (acceptor, seen) = (acceptor.clone(), Arc::clone(&shared));
        async move {
            let Ok(stream) = acceptor.accept(stream).await else {
                return;
            };
            match stream.get_ref().1.alpn_protocol() {
                Some(b"h2") => serve_second(stream, seen).await,
                _ => serve_first(stream, &seen).await,
            }
        }
    })
    .await;
    (server, seen)
}

async fn serve_first(mut stream: TlsStream<TcpStream>, seen: &Seen) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else {
            return;
        };
        head.push(byte);
    }
    if head.starts_with(b"POST /head ") {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n";
        stream.write_all(answer).await.unwrap();
        stream.flush().await.unwrap();
    }
    seen.heads.fetch_add(1, Ordering::SeqCst);
    let (mut wire, _) = stream.into_inner();
    let _ = tokio::io::copy(&mut wire, &mut tokio::io::sink()).await;
}

async fn serve_second(stream: TlsStream<TcpStream>, seen: Arc<Seen>) {
    let answer = service_fn(move |request: Request<Incoming>| {
        let seen = Arc::clone(&seen);
        async move {
            let has_head = request.uri().path() == "/head";
            seen.unread.lock().unwrap().push(request.into_body());
            seen.heads.fetch_add(1, Ordering::SeqCst);
            if !has_head {
                std::future::pending::<()>().await;
            }
            let never = futures_util::stream::pending::<Result<Frame<Bytes>, Infallible>>();
            Ok::<_, Infallible>(Response::new(StreamBody::new(never)))
        }
    });
    let mut server = http2::Builder::new(TokioExecutor::new());
    server.initial_stream_window_size(0);
    let _ = server.serve_connection(TokioIo::new(stream), answer).await;
}

/// How long a connection may be there whose exchange is over, though its server still takes something.
const GONE_WITHIN: Duration = Duration::from_secs(5);
/// What a server takes at once, and when again: what is on its way takes it more than a minute.
const SIP_BYTES: usize = 512;
const SIP_PAUSE: Duration = Duration::from_millis(100);

/// Takes a body by the sip, and never stops. Says `answer` once nobody has anything more to send for a while.
async fn sipping(answer: &'static [u8]) -> Server {
    listen(move |mut stream| async move {
        // Little of the rest is out of the client's hands.
        let _ = setsockopt(&stream, sockopt::RcvBuf, &SIP_BYTES);
        let _ = head(&mut stream).await;
        let mut room = [0; SIP_BYTES];
        for sips in 0.. {
            if sips == 10 && stream.write_all(answer).await.is_err() {
                return;
            }
            match stream.read(&mut room).await {
                Ok(1..) => sleep(SIP_PAUSE).await,
                Ok(0) | Err(_) => return,
            }
        }
    })
    .await
}

/// Sends as much as is asked for, until there is no room for more, or an answer.
async fn pour(worker: &mut Worker, id: ExchangeId) {
    let nothing_more = SIP_PAUSE * 4;
    while let Ok(reply) = timeout(nothing_more, worker.hear()).await {
        match reply.step {
            ReplyStep::More => worker.say(id, CallStep::Send(vec![7; BODY_BYTES])),
            ReplyStep::Opened(_) => return,
            other => panic!("{other:?}"),
        }
    }
}

async fn assert_gone(world: &World) {
    let gone = async {
        while world.broker.connections() > 0 {
            sleep(SIP_PAUSE).await;
        }
    };
    let is_gone = timeout(GONE_WITHIN, gone).await.is_ok();
    assert!(is_gone, "the connection is still there");
}

#[tokio::test]
async fn a_server_that_takes_a_body_by_the_sip_is_left_when_its_exchange_is_given_up() {
    let server = sipping(b"").await;
    for ends in [false, true] {
        let world = World::new();
        let mut worker = world.worker();
        let body = RequestBody::Stream { length: None };
        let id = worker.open(post(server.url("/"), body));
        pour(&mut worker, id).await;
        assert_eq!(world.broker.connections(), 1);
        match ends {
            true => drop(worker),
            false => worker.say(id, CallStep::Abort),
        }
        assert_gone(&world).await;
    }
}

#[tokio::test]
async fn a_server_that_takes_a_body_by_the_sip_is_left_when_it_has_its_time() {
    let server = sipping(b"").await;
    let world = World::bounded(|bounds| bounds.head_wait = SIP_PAUSE * 10);
    let mut worker = world.worker();
    let id = worker.open(post(server.url("/"), RequestBody::Stream { length: None }));
    let failed = async {
        loop {
            match worker.hear().await.step {
                ReplyStep::More => worker.say(id, CallStep::Send(vec![7; BODY_BYTES])),
                ReplyStep::Failed(why) => return why,
                other => panic!("{other:?}"),
            }
        }
    };
    let why = timeout(PATIENCE, failed).await.unwrap();
    assert!(why.contains("there was no answer within 1 s"), "{why}");
    assert_gone(&world).await;
}

#[tokio::test]
async fn a_server_that_answers_and_goes_on_to_sip_is_left_once_its_answer_is_read() {
    let server = sipping(b"HTTP/1.1 413 Large\r\ncontent-length: 5\r\n\r\nlarge").await;
    let world = World::new();
    let mut worker = world.worker();
    let id = worker.open(post(server.url("/"), RequestBody::Stream { length: None }));
    pour(&mut worker, id).await;
    let answered = async {
        let mut body = Vec::new();
        worker.say(id, CallStep::Pull);
        loop {
            match worker.hear().await.step {
                // The answer does not depend on it.
                ReplyStep::More | ReplyStep::Opened(_) => {}
                ReplyStep::Data(piece) => {
                    body.extend(piece);
                    worker.say(id, CallStep::Pull);
                }
                ReplyStep::End => return body,
                other => panic!("{other:?}"),
            }
        }
    };
    let body = timeout(PATIENCE, answered).await.unwrap();
    assert_eq!(body, b"large");
    assert_gone(&world).await;
}

/// What this process has in memory that it asked for.
pub(crate) fn heap_bytes() -> usize {
    // SAFETY: it reads counters of the allocator.
    let memory = unsafe { libc::mallinfo2() };
    memory.uordblks + memory.hblkhd
}

/// What this process has: tasks, descriptors, bytes.
#[derive(Debug, Clone, Copy)]
struct Held {
    tasks: usize,
    descriptors: usize,
    bytes: usize,
}

impl Held {
    fn now() -> Self {
        Self {
            tasks: tokio::runtime::Handle::current()
                .metrics()
                .num_alive_tasks(),
            descriptors: fs::read_dir("/proc/self/fd").unwrap().count(),
            bytes: heap_bytes(),
        }
    }

    fn is_back_at(self, before: Self) -> bool {
        self.tasks <= before.tasks
            && self.descriptors <= before.descriptors
            && self.bytes <= before.bytes + LEFT_BYTES_MAX
    }
}

/// Begins an upload, and gives it up once the server has the head, or has answered.
async fn give_up(worker: &mut Worker, url: String, body: RequestBody, has_head: bool, seen: &Seen) {
    let before = seen.heads.load(Ordering::SeqCst);
    let id = worker.open(post(url, body.clone()));
    if let RequestBody::Stream { .. } = body {
        worker.hear().await;
        worker.say(id, CallStep::Send(vec![7; BODY_BYTES]));
    }
    let arrived = async {
        while seen.heads.load(Ordering::SeqCst) == before {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, arrived).await.unwrap();
    if has_head {
        // Pieces may be asked for before.
        while let ReplyStep::More = worker.hear().await.step {}
    }
    worker.say(id, CallStep::Abort);
}

async fn leave_nothing(protocols: &[&str]) {
    let identity = identity("good.test");
    let (server, seen) = reading_nothing(&identity, protocols).await;
    let world = trusting(&identity);
    let before = Held::now();
    for at in 0..UPLOADS {
        let (path, has_head) = [("head", true), ("never", false)][at % 2];
        let body = match at / 2 % 2 {
            0 => RequestBody::Whole(vec![7; BODY_BYTES]),
            _ => RequestBody::Stream { length: None },
        };
        let url = format!("{}{path}", https(&server, "good.test"));
        give_up(&mut world.worker(), url, body, has_head, &seen).await;
    }
    seen.unread.lock().unwrap().clear();
    let gone = async {
        while !Held::now().is_back_at(before) {
            sleep(Duration::from_millis(50)).await;
        }
    };
    let is_gone = timeout(PATIENCE, gone).await.is_ok();
    assert!(is_gone, "{before:?} became {:?}", Held::now());
}

#[tokio::test]
async fn given_up_uploads_leave_nothing_behind_at_a_server_that_speaks_http_2() {
    leave_nothing(&["h2", "http/1.1"]).await;
}

#[tokio::test]
async fn given_up_uploads_leave_nothing_behind_at_a_server_that_speaks_http_1() {
    leave_nothing(&["http/1.1"]).await;
}

#[tokio::test]
async fn a_body_goes_over_http_1_and_what_has_none_over_http_2() {
    let identity = identity("good.test");
    let server = super::tls::secure(&identity, &["h2"]).await;
    let world = trusting(&identity);
    let url = https(&server, "good.test");
    for (request, version) in [
        (get(url.as_str()), "HTTP/2.0"),
        (
            post(url.as_str(), RequestBody::Whole(Vec::new())),
            "HTTP/2.0",
        ),
        (post(url.as_str(), RequestBody::Whole(vec![1])), "HTTP/1.1"),
    ] {
        let (response, _) = world.worker().fetch(request).await.unwrap();
        assert_eq!(header(&response, "x-version"), Some(version));
    }
}
