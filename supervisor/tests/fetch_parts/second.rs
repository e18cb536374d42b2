//! Servers of HTTP/2 that break its rules, and those that keep to them and never end: frames by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mcp_v8_protocol::limits::HEADERS_BYTES_MAX;
use rcgen::{CertifiedKey, KeyPair};
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf, split};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::server::TlsStream;

use super::client::{PATIENCE, World, get};
use super::servers::{Server, answering, listen, ok};
use super::tls::{acceptor, https, identity};
use super::uploads::heap_bytes;

const PREFACE_BYTES: usize = 24;
const FRAME_HEADER_BYTES: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GO_AWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
/// One that nobody knows, and that is to be ignored.
const UNKNOWN: u8 = 0xfa;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// How long a head, or a piece, may take here.
const WAIT: Duration = Duration::from_secs(1);
/// What a flood may add to what is in memory, its own buffers among it.
const FLOOD_BYTES_MAX: usize = 8 << 20;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The line `:status`, of 200 and of 103.
const OK: &[u8] = &[0x88];
const EARLY_HINTS: &[u8] = b"\x08\x03103";

fn line(name: &str, value: &str) -> Vec<u8> {
    let [name, value] = [name, value].map(|text| {
        let length = u8::try_from(text.len()).unwrap();
        assert!(length < 127);
        [&[length], text.as_bytes()].concat()
    });
    [&[0], &name[..], &value].concat()
}

fn head(stream: u32, lines: &[&[u8]]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &lines.concat())
}

/// What depends on the stream of a request.
type OnStream<T> = fn(u32) -> T;

/// What a server says to a request, on its stream.
#[derive(Debug, Clone, Default)]
struct Said {
    first: Vec<u8>,
    /// For as long as anybody listens.
    again: Vec<u8>,
    pause: Duration,
    closes: bool,
}

impl Said {
    fn once(frames: &[Vec<u8>]) -> Self {
        Self {
            first: frames.concat(),
            ..Self::default()
        }
    }

    fn and_closes(self) -> Self {
        Self {
            closes: true,
            ..self
        }
    }

    fn for_ever(first: &[Vec<u8>], again: &[u8]) -> Self {
        Self {
            first: first.concat(),
            again: again.repeat(1 + (64 << 10) / again.len()),
            ..Self::default()
        }
    }

    fn in_drops(first: Vec<u8>, again: Vec<u8>) -> Self {
        Self {
            first,
            again,
            pause: WAIT / 100,
            closes: false,
        }
    }
}

/// Says this to each request. How much it has written in its floods, and how many of those the client has
/// reset or broken.
async fn saying(
    identity: &CertifiedKey<KeyPair>,
    settings: &'static [u8],
    said: impl Fn(u32) -> Said + Send + Sync + 'static,
) -> (Server, Arc<AtomicUsize>, Arc<AtomicUsize>) {
    let acceptor = acceptor(identity, &["h2"]);
    let said = Arc::new(said);
    let (written, ended) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let (counts, ends) = (Arc::clone(&written), Arc::clone(&ended));
    let server = listen(move |stream| {
        let (acceptor, said) = (acceptor.clone(), Arc::clone(&said));
        let (counts, ends) = (Arc::clone(&counts), Arc::clone(&ends));
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                let (input, output) = split(stream);
                let _ = talk(input, output, settings, (&*said, &counts, ends)).await;
            }
        }
    })
    .await;
    (server, written, ended)
}

async fn talk(
    mut input: ReadHalf<TlsStream<TcpStream>>,
    mut output: WriteHalf<TlsStream<TcpStream>>,
    settings: &[u8],
    (said, written, ended): (
        &(impl Fn(u32) -> Said + Send + Sync),
        &AtomicUsize,
        Arc<AtomicUsize>,
    ),
) -> std::io::Result<()> {
    input.read_exact(&mut [0; PREFACE_BYTES]).await?;
    output.write_all(&frame(SETTINGS, 0, 0, settings)).await?;
    loop {
        output.flush().await?;
        let (kind, stream) = hear(&mut input).await?;
        if kind != HEADERS {
            continue;
        }
        let Said {
            first,
            again,
            pause,
            closes,
        } = said(stream);
        output.write_all(&first).await?;
        if closes {
            return output.shutdown().await;
        }
        if again.is_empty() {
            continue;
        }
        // What it is answered is read, so that the client is never held up.
        let reading = tokio::spawn(async move {
            while hear(&mut input).await.is_ok_and(|(kind, _)| kind != RESET) {}
            ended.fetch_add(1, Ordering::SeqCst);
            while hear(&mut input).await.is_ok() {}
        });
        while output.write_all(&again).await.is_ok() {
            written.fetch_add(again.len(), Ordering::SeqCst);
            if pause > Duration::ZERO {
                output.flush().await?;
                sleep(pause).await;
            }
        }
        reading.abort();
        return Ok(());
    }
}

/// The kind of the next frame, and its stream.
async fn hear(input: &mut ReadHalf<TlsStream<TcpStream>>) -> std::io::Result<(u8, u32)> {
    let mut header = [0; FRAME_HEADER_BYTES];
    input.read_exact(&mut header).await?;
    let length = u32::from_be_bytes([0, header[0], header[1], header[2]]);
    let mut payload = vec![0; usize::try_from(length).unwrap()];
    input.read_exact(&mut payload).await?;
    let stream = u32::from_be_bytes(header[5..].try_into().unwrap());
    Ok((header[3], stream))
}

fn impatient(identity: &CertifiedKey<KeyPair>) -> World {
    let certificate: CertificateDer<'static> = identity.cert.der().clone();
    World::with(|network| {
        network.authorities.add(certificate).unwrap();
        network.bounds.head_wait = WAIT;
        network.bounds.piece_wait = WAIT;
    })
}

/// A request to this server fails in time, with its place in what its script is told; one to another server
/// goes well afterwards.
async fn fails(
    about: &str,
    settings: &'static [u8],
    said: impl Fn(u32) -> Said + Send + Sync + 'static,
) -> String {
    let identity = identity("evil.test");
    let (server, ..) = saying(&identity, settings, said).await;
    let good = answering(|_| ok("", b"good")).await;
    let world = impatient(&identity);
    let mut worker = world.worker();
    let begin = Instant::now();
    let why = worker.fetch(get(https(&server, "evil.test"))).await;
    let why = why.expect_err(about);
    let took = begin.elapsed();
    assert!(took < WAIT * 8, "{about}: {took:?}");
    let port = server.address.port();
    assert!(
        why.contains(&format!("evil.test:{port}: ")),
        "{about}: {why}"
    );
    let (_, body) = worker.fetch(get(good.url("/"))).await.unwrap();
    assert_eq!(body, b"good");
    why
}

#[tokio::test]
async fn a_stream_that_is_reset_at_any_step_fails_the_request() {
    for code in [0_u32, 1, 2, 7, 8, 11, u32::MAX] {
        let reset = move |stream| frame(RESET, 0, stream, &code.to_be_bytes());
        let about = |step| format!("{step}, code {code}");
        fails(&about("before the head"), &[], move |stream| {
            Said::once(&[reset(stream)])
        })
        .await;
        fails(&about("after the head"), &[], move |stream| {
            Said::once(&[head(stream, &[OK]), reset(stream)])
        })
        .await;
        fails(&about("in the body"), &[], move |stream| {
            let piece = frame(DATA, 0, stream, b"piece");
            Said::once(&[head(stream, &[OK]), piece, reset(stream)])
        })
        .await;
    }
}

#[tokio::test]
async fn a_connection_that_goes_away_fails_the_request_and_one_that_keeps_its_word_does_not() {
    let leave = |last: u32, code: u32| {
        frame(
            GO_AWAY,
            0,
            0,
            &[last.to_be_bytes(), code.to_be_bytes()].concat(),
        )
    };
    for code in [0, 2, 11] {
        fails("before the head", &[], move |_| {
            Said::once(&[leave(0, code)]).and_closes()
        })
        .await;
        fails("after the head", &[], move |stream| {
            Said::once(&[head(stream, &[OK]), leave(stream, code)]).and_closes()
        })
        .await;
        fails("in the body", &[], move |stream| {
            let piece = frame(DATA, 0, stream, b"piece");
            Said::once(&[head(stream, &[OK]), piece, leave(stream, code)]).and_closes()
        })
        .await;
        // It says that it goes, and then nothing more.
        fails("silence", &[], move |stream| {
            Said::once(&[leave(stream, code)])
        })
        .await;
    }
    let identity = identity("good.test");
    let (server, ..) = saying(&identity, &[], move |stream| {
        let piece = frame(DATA, END_STREAM, stream, b"all of it");
        Said::once(&[head(stream, &[OK]), leave(stream, 0), piece]).and_closes()
    })
    .await;
    let world = impatient(&identity);
    let mut worker = world.worker();
    for connections in 1..4 {
        let (_, body) = worker
            .fetch(get(https(&server, "good.test")))
            .await
            .unwrap();
        assert_eq!(body, b"all of it");
        assert_eq!(server.connections(), connections);
    }
}

#[tokio::test]
async fn lengths_that_are_not_kept_fail_the_request() {
    for (length, body) in [
        ("3", &b"four"[..]),
        ("5", b"four"),
        ("0", b"x"),
        ("x", b"x"),
        ("-1", b"x"),
    ] {
        fails(length, &[], move |stream| {
            let lines = [OK, &line("content-length", length)];
            Said::once(&[head(stream, &lines), frame(DATA, END_STREAM, stream, body)])
        })
        .await;
    }
    fails("two lengths", &[], |stream| {
        let [four, five] = ["4", "5"].map(|length| line("content-length", length));
        let head = head(stream, &[OK, &four, &five]);
        Said::once(&[head, frame(DATA, END_STREAM, stream, b"four")])
    })
    .await;
}

#[tokio::test]
async fn frames_that_break_the_rules_fail_the_request() {
    let cases: &[(&str, OnStream<Vec<u8>>)] = &[
        ("no HTTP/2", |_| {
            b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec()
        }),
        ("a frame larger than was agreed", |stream| {
            frame(DATA, 0, stream, &[0; 20_000])
        }),
        ("a body before its head", |stream| {
            frame(DATA, END_STREAM, stream, b"x")
        }),
        ("a head without a status", |stream| {
            head(stream, &[&line("x", "y")])
        }),
        ("a head with two", |stream| head(stream, &[OK, OK])),
        ("a status that is none", |stream| {
            head(stream, &[b"\x08\x03abc"])
        }),
        ("a name in capitals", |stream| {
            head(stream, &[OK, &line("X-Y", "z")])
        }),
        ("a line of HTTP/1.1", |stream| {
            head(stream, &[OK, &line("connection", "x")])
        }),
        ("a value with an end of line", |stream| {
            head(stream, &[OK, &line("x", "a\r\nb")])
        }),
        ("lines that cannot be unpacked", |stream| {
            head(stream, &[&[0xff; 20]])
        }),
        ("a stream that nobody asked for", |_| head(2, &[OK])),
        ("one that is yet to come", |stream| head(stream + 2, &[OK])),
        ("no more than a part of a head", |stream| {
            let begun = frame(HEADERS, 0, stream, OK);
            [begun, frame(DATA, 0, stream, b"x")].concat()
        }),
        ("an answer that is pushed", |stream| {
            frame(PUSH_PROMISE, END_HEADERS, stream, &[0, 0, 0, 2, 0x88])
        }),
        ("a window that grows by nothing", |stream| {
            frame(WINDOW_UPDATE, 0, stream, &[0; 4])
        }),
        ("a window that grows too large", |_| {
            frame(WINDOW_UPDATE, 0, 0, &0x7fff_ffff_u32.to_be_bytes()).repeat(2)
        }),
        ("settings on a stream", |stream| {
            frame(SETTINGS, 0, stream, &[])
        }),
        ("settings that are cut", |_| frame(SETTINGS, 0, 0, &[0; 5])),
        ("a ping that is cut", |_| frame(PING, 0, 0, &[0; 7])),
        ("more than there is room for", |stream| {
            let piece = frame(DATA, 0, stream, &[0; 16 << 10]);
            [head(stream, &[OK]), piece.repeat(64)].concat()
        }),
    ];
    for (about, said) in cases {
        fails(about, &[], move |stream| Said::once(&[said(stream)])).await;
    }
}

#[tokio::test]
async fn heads_above_the_limit_are_cut_off() {
    let filler = "0123456789abcdef".repeat(7);
    let lines = line("x-filler", &filler).repeat(100);
    let begun = |stream| frame(HEADERS, 0, stream, OK);
    let part = lines.clone();
    let times = HEADERS_BYTES_MAX / part.len() + 1;
    let why = fails("one that ends", &[], move |stream| {
        let parts = frame(CONTINUATION, 0, stream, &part).repeat(times);
        Said::once(&[
            begun(stream),
            parts,
            frame(CONTINUATION, END_HEADERS, stream, &[]),
        ])
    })
    .await;
    assert!(!why.contains("there was no answer"), "{why}");
    for (about, part) in [("large parts", lines), ("empty parts", Vec::new())] {
        let why = fails(about, &[], move |stream| {
            let again = frame(CONTINUATION, 0, stream, &part);
            Said::for_ever(&[begun(stream)], &again)
        })
        .await;
        assert!(!why.contains("there was no answer"), "{about}: {why}");
    }
    // A few bytes that are a long line each: the table is told once what it is.
    fails("a bomb", &[], |stream| {
        let stored = [&[0x40][..], &line("x", &"y".repeat(100))[1..]].concat();
        let again = frame(CONTINUATION, 0, stream, &[0xbe; 16 << 10]);
        let first = frame(HEADERS, 0, stream, &[OK, &stored].concat());
        Said::for_ever(&[first], &again)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_end_with_their_time_and_stay_out_of_memory() {
    let floods: &[(&str, OnStream<Said>)] = &[
        ("pings", |_| {
            Said::for_ever(&[], &frame(PING, 0, 0, &[7; 8]))
        }),
        ("settings", |_| {
            Said::for_ever(&[], &frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0xff, 0xff]))
        }),
        ("frames that nobody knows", |_| {
            Said::for_ever(&[], &frame(UNKNOWN, 0, 0, &[0; 16 << 10]))
        }),
        ("priorities", |stream| {
            Said::for_ever(&[], &frame(PRIORITY, 0, stream, &[0; 5]))
        }),
        ("early hints", |stream| {
            Said::for_ever(&[], &head(stream, &[EARLY_HINTS]))
        }),
        ("empty pieces", |stream| {
            Said::for_ever(&[head(stream, &[OK])], &frame(DATA, 0, stream, &[]))
        }),
        ("padding", |stream| {
            let mut padded = vec![0; 256];
            padded[0] = 255;
            Said::for_ever(&[head(stream, &[OK])], &frame(DATA, 8, stream, &padded))
        }),
        ("pieces of a stream that was reset", |stream| {
            let reset = frame(RESET, 0, stream, &8_u32.to_be_bytes());
            Said::for_ever(
                &[head(stream, &[OK]), reset],
                &frame(DATA, 0, stream, &[0; 100]),
            )
        }),
        ("windows that grow", |stream| {
            Said::for_ever(&[], &frame(WINDOW_UPDATE, 0, stream, &1_u32.to_be_bytes()))
        }),
    ];
    let mut worlds = Vec::new();
    for (about, said) in floods {
        worlds.push((about, flood(about, *said).await));
    }
    // Whoever floods is hung up on, though no exchange is left.
    for (about, world) in worlds {
        let gone = async {
            while world.broker.connections() > 0 {
                sleep(Duration::from_millis(10)).await;
            }
        };
        let is_gone = timeout(PATIENCE, gone).await.is_ok();
        assert!(is_gone, "{about}: the connection is still there");
    }
}

/// Withstands one, and what it was withstood in.
async fn flood(about: &str, said: OnStream<Said>) -> World {
    let identity = identity("evil.test");
    let (server, written, _) = saying(&identity, &[], said).await;
    let world = impatient(&identity);
    let is_over = Arc::<AtomicBool>::default();
    let before = heap_bytes();
    let watched = Arc::clone(&is_over);
    let watching = tokio::spawn(async move {
        let mut most = 0;
        while !watched.load(Ordering::SeqCst) {
            most = heap_bytes().max(most);
            sleep(Duration::from_millis(10)).await;
        }
        most
    });
    let begin = Instant::now();
    let why = world.failure(https(&server, "evil.test")).await;
    let took = begin.elapsed();
    assert!(took < WAIT * 8, "{about}: {took:?}");
    is_over.store(true, Ordering::SeqCst);
    let grown = watching.await.unwrap().saturating_sub(before);
    let flooded = written.load(Ordering::SeqCst);
    assert!(
        grown < FLOOD_BYTES_MAX,
        "{about}: {grown} bytes of {flooded}; {why}"
    );
    world
}

#[tokio::test]
async fn a_server_that_takes_no_request_has_its_time() {
    // No stream may be open.
    let why = fails("no streams", &[0, 3, 0, 0, 0, 0], |_| Said::default()).await;
    assert!(why.contains("there was no answer within 1 s"), "{why}");
}

#[tokio::test]
async fn a_stream_that_never_ends_has_its_time_and_ends_with_its_script() {
    let why = fails("no head", &[], |_| Said::default()).await;
    assert!(why.contains("there was no answer within 1 s"), "{why}");
    let why = fails("no body", &[], |stream| Said::once(&[head(stream, &[OK])])).await;
    assert!(
        why.contains("nothing more of the body came within 1 s"),
        "{why}"
    );
    let identity = identity("evil.test");
    let (server, written, ended) = saying(&identity, &[], |stream| {
        Said::in_drops(head(stream, &[OK]), frame(DATA, 0, stream, b"drop"))
    })
    .await;
    let world = impatient(&identity);
    let mut worker = world.worker();
    let id = worker.open(get(https(&server, "evil.test")));
    worker.head(id).await.unwrap();
    for _ in 0..16 {
        assert!(worker.piece(id).await.unwrap().is_some());
    }
    drop(worker);
    let over = async {
        while ended.load(Ordering::SeqCst) == 0 {
            sleep(Duration::from_millis(10)).await;
        }
    };
    let is_over = timeout(PATIENCE, over).await.is_ok();
    assert!(is_over, "{} bytes", written.load(Ordering::SeqCst));
}
