//! Bodies: streams both ways in little memory, and coded ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_compression::Level;
use async_compression::brotli::EncoderParams;
use async_compression::tokio::bufread::{
    BrotliEncoder, DeflateEncoder, GzipEncoder, ZlibEncoder, ZstdEncoder,
};
use mcp_v8::limits::FETCH_WINDOWS_PER_TENANT_MIB_MAX;
use mcp_v8_protocol::fetch::{CallStep, ReplyStep, RequestBody};
use mcp_v8_protocol::limits::BODY_CHUNK_BYTES_MAX;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::oneshot;

use super::client::{World, get, header, post, with_headers};
use super::servers::{Server, answering, head, lines, listen, ok};

/// Far more than any buffer on the way, of this process or the kernel.
const LARGE: usize = 100 << 20;
/// What may be between the two ends: sockets' buffers, and a few pieces.
const IN_FLIGHT_MAX: usize = 16 << 20;

async fn coded(coding: &str, body: &[u8]) -> Vec<u8> {
    let mut coded = Vec::new();
    match coding {
        "gzip" => GzipEncoder::new(body).read_to_end(&mut coded).await,
        "deflate" => ZlibEncoder::new(body).read_to_end(&mut coded).await,
        "raw deflate" => DeflateEncoder::new(body).read_to_end(&mut coded).await,
        // The best that it can do takes minutes.
        "br" => {
            let mut encoder = BrotliEncoder::with_quality(body, Level::Precise(4));
            encoder.read_to_end(&mut coded).await
        }
        _ => ZstdEncoder::new(body).read_to_end(&mut coded).await,
    }
    .unwrap();
    coded
}

fn says(coding: &str) -> String {
    let name = coding.strip_prefix("raw ").unwrap_or(coding);
    format!("content-encoding: {name}\r\nx-kept: 1\r\n")
}

/// Sends a large body, and counts what of it the kernel has taken.
async fn source(sent: Arc<AtomicUsize>) -> Server {
    listen(move |mut stream| {
        let sent = Arc::clone(&sent);
        async move {
            let _ = head(&mut stream).await;
            let start = format!("HTTP/1.1 200 OK\r\ncontent-length: {LARGE}\r\n\r\n");
            stream.write_all(start.as_bytes()).await.unwrap();
            let piece = vec![7; 64 << 10];
            while sent.load(Ordering::SeqCst) < LARGE {
                if stream.write_all(&piece).await.is_err() {
                    return;
                }
                sent.fetch_add(piece.len(), Ordering::SeqCst);
            }
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_response_is_in_memory_by_the_piece() {
    let sent = Arc::new(AtomicUsize::new(0));
    let server = source(Arc::clone(&sent)).await;
    let world = World::new();
    let mut worker = world.worker();
    let id = worker.open(get(server.url("/")));
    worker.head(id).await.unwrap();
    let mut received = 0;
    while let Some(piece) = worker.piece(id).await.unwrap() {
        assert!((1..=BODY_CHUNK_BYTES_MAX).contains(&piece.len()));
        received += piece.len();
        let in_flight = sent.load(Ordering::SeqCst).saturating_sub(received);
        assert!(in_flight <= IN_FLIGHT_MAX, "{in_flight}");
    }
    assert_eq!(received, LARGE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_request_is_in_memory_by_the_piece() {
    let taken = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&taken);
    let server = listen(move |mut stream| {
        let counted = Arc::clone(&counted);
        async move {
            let sent = head(&mut stream).await.unwrap();
            assert_eq!(lines(&sent, "content-length"), [LARGE.to_string()]);
            let mut room = vec![0; 32 << 10];
            while counted.load(Ordering::SeqCst) < LARGE {
                let length = stream.read(&mut room).await.unwrap();
                assert!(length > 0 && room[..length].iter().all(|byte| *byte == 9));
                counted.fetch_add(length, Ordering::SeqCst);
            }
            stream.write_all(&ok("", b"done")).await.unwrap();
        }
    })
    .await;
    let world = World::new();
    let mut worker = world.worker();
    let body = RequestBody::Stream {
        length: Some(LARGE as u64),
    };
    let id = worker.open(post(server.url("/"), body));
    let mut sent = 0;
    loop {
        match worker.hear().await.step {
            ReplyStep::More if sent == LARGE => worker.say(id, CallStep::SendEnd),
            ReplyStep::More => {
                worker.say(id, CallStep::Send(vec![9; BODY_CHUNK_BYTES_MAX]));
                sent += BODY_CHUNK_BYTES_MAX;
                let in_flight = sent.saturating_sub(taken.load(Ordering::SeqCst));
                assert!(in_flight <= IN_FLIGHT_MAX, "{in_flight}");
            }
            ReplyStep::Opened(_) => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(worker.rest(id).await.unwrap(), b"done");
    assert_eq!(sent, LARGE);
}

#[tokio::test]
async fn nothing_is_asked_for_that_a_server_does_not_take() {
    let (let_go, wait) = oneshot::channel::<()>();
    let wait = Arc::new(std::sync::Mutex::new(Some(wait)));
    let server = listen(move |mut stream| {
        let wait = wait.lock().unwrap().take().unwrap();
        async move {
            head(&mut stream).await.unwrap();
            // Nothing of the body is read until the test says so; then the answer comes without it.
            let _ = wait.await;
            stream
                .write_all(&ok("connection: close\r\n", b""))
                .await
                .unwrap();
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
    })
    .await;
    let world = World::new();
    let mut worker = world.worker();
    let body = RequestBody::Stream { length: None };
    let id = worker.open(post(server.url("/"), body));
    let mut sent = 0;
    let mut let_go = Some(let_go);
    loop {
        let next = tokio::time::timeout(std::time::Duration::from_millis(300), worker.hear());
        match next.await.map(|reply| reply.step) {
            Ok(ReplyStep::More) => {
                worker.say(id, CallStep::Send(vec![9; BODY_CHUNK_BYTES_MAX]));
                sent += BODY_CHUNK_BYTES_MAX;
                assert!(sent <= IN_FLIGHT_MAX, "{sent}");
            }
            Ok(ReplyStep::Opened(_)) => break,
            Ok(other) => panic!("{other:?}"),
            Err(_) => drop(let_go.take()),
        }
    }
    assert!(
        let_go.is_none(),
        "it was let go only when nothing more was asked for"
    );
}

#[tokio::test]
async fn a_stream_without_a_length_is_sent_in_chunks_to_its_end() {
    let server = listen(|mut stream| async move {
        let sent = head(&mut stream).await.unwrap();
        assert_eq!(lines(&sent, "transfer-encoding"), ["chunked"]);
        let mut body = Vec::new();
        while !body.ends_with(b"0\r\n\r\n") {
            body.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(&ok("", &body)).await.unwrap();
    })
    .await;
    let world = World::new();
    let request = || post(server.url("/"), RequestBody::Stream { length: None });
    let pieces = vec![b"ab".to_vec(), b"c".to_vec()];
    let (_, body) = world.worker().upload(request(), pieces).await.unwrap();
    assert_eq!(body, b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n");
    let (_, body) = world.worker().upload(request(), Vec::new()).await.unwrap();
    assert_eq!(body, b"0\r\n\r\n");
}

#[tokio::test]
async fn a_body_given_up_is_not_taken_for_a_whole_one() {
    let (seen, end) = oneshot::channel();
    let seen = Arc::new(std::sync::Mutex::new(Some(seen)));
    let server = listen(move |mut stream| {
        let seen = seen.lock().unwrap().take().unwrap();
        async move {
            head(&mut stream).await.unwrap();
            let mut body = Vec::new();
            let _ = stream.read_to_end(&mut body).await;
            seen.send(body).unwrap();
        }
    })
    .await;
    let world = World::new();
    let mut worker = world.worker();
    let id = worker.open(post(server.url("/"), RequestBody::Stream { length: None }));
    assert_eq!(worker.hear().await.step, ReplyStep::More);
    worker.say(id, CallStep::Send(b"ab".to_vec()));
    assert_eq!(worker.hear().await.step, ReplyStep::More);
    worker.say(id, CallStep::Abort);
    let body = end.await.unwrap();
    assert!(!body.ends_with(b"0\r\n\r\n"), "{body:?}");
}

#[tokio::test]
async fn a_length_that_is_not_kept_fails_the_request() {
    let server = listen(|mut stream| async move {
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let world = World::new();
    for (length, sent) in [(3, 2), (1, 2), (0, 1)] {
        let body = RequestBody::Stream {
            length: Some(length),
        };
        let request = post(server.url("/"), body);
        let pieces = vec![vec![0; sent]];
        let why = world.worker().upload(request, pieces).await.unwrap_err();
        assert!(
            why.contains("that were announced"),
            "{length} {sent}: {why}"
        );
    }
}

#[tokio::test]
async fn coded_bodies_are_decoded_and_their_heads_say_so() {
    let text = "text ".repeat(40_000).into_bytes();
    for coding in ["gzip", "deflate", "raw deflate", "br", "zstd"] {
        let body = coded(coding, &text).await;
        let twice = [body.clone(), body.clone()].concat();
        let server = answering(move |head| match head.contains("/twice") {
            true => ok(&says(coding), &twice),
            false => ok(&says(coding), &body),
        })
        .await;
        let mut worker = World::new().worker();
        let (response, body) = worker.fetch(get(server.url("/"))).await.unwrap();
        assert!(body == text, "{coding}");
        assert_eq!(header(&response, "content-encoding"), None);
        assert_eq!(header(&response, "content-length"), None);
        assert_eq!(header(&response, "x-kept"), Some("1"));
        if coding == "gzip" || coding == "zstd" {
            let (_, body) = worker.fetch(get(server.url("/twice"))).await.unwrap();
            assert!(body == text.repeat(2), "{coding}");
        }
    }
}

#[tokio::test]
async fn bodies_that_are_not_coded_by_one_known_coding_come_as_they_are() {
    for said in [
        "content-encoding: compress\r\n",
        "content-encoding: gzip, gzip\r\n",
        "content-encoding: gzip\r\ncontent-encoding: zstd\r\n",
        "content-encoding: identity\r\n",
    ] {
        let server = answering(move |_| ok(said, b"as it is")).await;
        let (response, body) = World::new()
            .worker()
            .fetch(get(server.url("/")))
            .await
            .unwrap();
        assert_eq!(body, b"as it is");
        assert!(
            response
                .headers
                .iter()
                .any(|h| h.name == "content-encoding")
        );
    }
}

#[tokio::test]
async fn an_answer_without_a_body_is_not_decoded() {
    let server = answering(|head| {
        let coding = "content-encoding: gzip\r\n";
        if head.starts_with("HEAD") {
            return format!("HTTP/1.1 200 OK\r\n{coding}content-length: 9\r\n\r\n").into();
        }
        if head.contains("/204") {
            return format!("HTTP/1.1 204 No Content\r\n{coding}\r\n").into();
        }
        if head.contains("/chunked") {
            let chunked = "transfer-encoding: chunked\r\n";
            return format!("HTTP/1.1 200 OK\r\n{coding}{chunked}\r\n0\r\n\r\n").into();
        }
        ok(coding, b"")
    })
    .await;
    let mut worker = World::new().worker();
    let mut head = get(server.url("/"));
    head.method = "HEAD".to_owned();
    let (response, body) = worker.fetch(head).await.unwrap();
    assert_eq!(header(&response, "content-length"), Some("9"));
    assert!(body.is_empty());
    for path in ["/204", "/chunked", "/empty"] {
        let (_, body) = worker.fetch(get(server.url(path))).await.unwrap();
        assert!(body.is_empty(), "{path}");
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_broken_coding_fails_the_body() {
    let text: Vec<u8> = (0..200_000_u32)
        .map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0])
        .collect();
    for coding in ["gzip", "deflate", "raw deflate", "br", "zstd"] {
        let whole = coded(coding, &text).await;
        let half = whole[..whole.len() / 2].to_vec();
        let last = whole[..whole.len() - 1].to_vec();
        let mut bodies = vec![vec![b'!'; 100], half, last];
        // The others have no checksum.
        if coding == "gzip" {
            let mut wrong = whole.clone();
            let at = wrong.len() - 6;
            wrong[at] ^= 1;
            bodies.push(wrong);
        }
        for (number, body) in bodies.into_iter().enumerate() {
            let server = answering(move |_| ok(&says(coding), &body)).await;
            let why = World::new().failure(server.url("/")).await;
            let name = coding.strip_prefix("raw ").unwrap_or(coding);
            let words = format!("not what its content-encoding {name} says");
            assert!(why.contains(&words), "{coding}, {number}: {why}");
        }
    }
}

#[tokio::test]
async fn a_brotli_body_that_wants_a_large_window_is_refused() {
    // What this library understands of a window of 2^30 bytes: a whole body, in which there is nothing.
    for body in [&[0x11, 0xde][..], &[0x11; 100], &[0x91; 100]] {
        let body = body.to_vec();
        let server = answering(move |_| ok("content-encoding: br\r\n", &body)).await;
        let why = World::new().failure(server.url("/")).await;
        assert!(why.contains("content-encoding br"), "{why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_not_read_to_their_ends_leave_room_to_decode_those_of_others() {
    let text: Vec<u8> = (0..1_u32 << 20)
        .map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0])
        .collect();
    let params = EncoderParams::default()
        .quality(Level::Precise(2))
        .window_size(24);
    let mut body = Vec::new();
    let mut encoder = BrotliEncoder::with_params(text.as_slice(), params);
    encoder.read_to_end(&mut body).await.unwrap();
    assert_eq!(body[0] & 0x0f, 0x0f, "the window is of 16 MiB");
    let server = answering(move |_| ok("content-encoding: br\r\n", &body)).await;
    let world = World::bounded(|bounds| bounds.piece_wait = std::time::Duration::from_secs(2));
    let mut greedy = world.worker_of("greedy");
    let windows = FETCH_WINDOWS_PER_TENANT_MIB_MAX / 16;
    for _ in 0..windows {
        let id = greedy.open(get(server.url("/")));
        greedy.head(id).await.unwrap();
        assert!(greedy.piece(id).await.unwrap().is_some());
    }
    let id = greedy.open(get(server.url("/")));
    greedy.head(id).await.unwrap();
    let why = greedy.piece(id).await.unwrap_err();
    assert!(why.contains("nothing more of the body came"), "{why}");
    let (_, body) = world
        .worker_of("other")
        .fetch(get(server.url("/")))
        .await
        .unwrap();
    assert!(body == text);
    // What was begun goes on, and makes room where it ends.
    assert!(!greedy.rest(0).await.unwrap().is_empty());
    let (_, body) = greedy.fetch(get(server.url("/"))).await.unwrap();
    assert!(body == text);
}

#[tokio::test]
async fn a_zstd_body_that_wants_a_large_window_is_refused() {
    use async_compression::zstd::CParameter;
    let text: Vec<u8> = (0..(32u32 << 20))
        .map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0])
        .collect();
    let window = [CParameter::window_log(25)];
    let mut body = Vec::new();
    let level = async_compression::Level::Fastest;
    let mut encoder = ZstdEncoder::with_quality_and_params(text.as_slice(), level, &window);
    encoder.read_to_end(&mut body).await.unwrap();
    let server = answering(move |_| ok("content-encoding: zstd\r\n", &body)).await;
    let why = World::new().failure(server.url("/")).await;
    assert!(why.contains("content-encoding zstd"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bomb_costs_only_what_is_pulled_of_it() {
    for coding in ["gzip", "deflate", "br", "zstd"] {
        let bomb = coded(coding, &vec![0; LARGE]).await;
        assert!(bomb.len() < LARGE / 500, "{coding}");
        let server = answering(move |_| ok(&says(coding), &bomb)).await;
        let world = World::bounded(|bounds| bounds.response_bytes = 1 << 20);
        let mut worker = world.worker();
        let id = worker.open(get(server.url("/")));
        worker.head(id).await.unwrap();
        let mut received = 0;
        let why = loop {
            match worker.piece(id).await {
                Ok(piece) => received += piece.unwrap().len(),
                Err(why) => break why,
            }
        };
        assert!(received <= 1 << 20, "{coding}: {received}");
        assert!(
            why.contains("no more than 1048576 bytes"),
            "{coding}: {why}"
        );
    }
}

#[tokio::test]
async fn the_script_that_asks_for_a_coding_gets_it_decoded_all_the_same() {
    let body = coded("gzip", b"text").await;
    let server = answering(move |_| ok("content-encoding: gzip\r\n", &body)).await;
    let request = with_headers(get(server.url("/")), &[("accept-encoding", "gzip")]);
    let (_, body) = World::new().worker().fetch(request).await.unwrap();
    assert_eq!(body, b"text");
}
