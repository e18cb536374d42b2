//! Servers that break off, never end or make no sense.

use std::sync::Arc;
use std::time::Duration;

use mcp_v8_protocol::fetch::{CallStep, FetchCall, ReplyStep, RequestBody};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::client::{PATIENCE, World, get, post};
use super::servers::{Server, answering, head, listen, ok, redirect};

/// Says this to each request, then breaks off: closes, or resets.
async fn breaking(said: &'static str, resets: bool) -> Server {
    listen(move |mut stream| async move {
        let _ = head(&mut stream).await;
        stream.write_all(said.as_bytes()).await.unwrap();
        if resets {
            stream.set_zero_linger().unwrap();
        }
    })
    .await
}

/// Says this to each request, then nothing more.
async fn stalling(said: &'static str) -> Server {
    listen(move |mut stream| async move {
        let _ = head(&mut stream).await;
        stream.write_all(said.as_bytes()).await.unwrap();
        std::future::pending::<()>().await;
    })
    .await
}

/// Says `first` and then `again` for as long as anybody listens.
async fn endless(first: &'static str, again: &'static str) -> Server {
    listen(move |mut stream| async move {
        let _ = head(&mut stream).await;
        if stream.write_all(first.as_bytes()).await.is_err() {
            return;
        }
        let many = again.repeat(1024);
        while stream.write_all(many.as_bytes()).await.is_ok() {}
    })
    .await
}

#[tokio::test]
async fn a_connection_that_breaks_at_any_step_fails_the_request() {
    for resets in [false, true] {
        for said in [
            "",
            "H",
            "HTTP/1.1 200",
            "HTTP/1.1 200 OK\r\nx: y",
            "HTTP/1.1 200 OK\r\nx: y\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n123456789",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n123",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\n123\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\n123\r\n0\r\n",
        ] {
            let server = breaking(said, resets).await;
            let why = World::new().failure(server.url("/")).await;
            let place = server.address.to_string();
            assert!(
                why.contains(&place) && why.contains("connection"),
                "{said:?}: {why}"
            );
        }
    }
}

#[tokio::test]
async fn a_server_that_hangs_up_at_once_fails_the_request() {
    let server = listen(|stream| async move {
        stream.set_zero_linger().unwrap();
        drop(stream);
    })
    .await;
    let why = World::new().failure(server.url("/")).await;
    assert!(why.contains("connection"), "{why}");
}

#[tokio::test]
async fn answers_that_make_no_sense_fail_the_request() {
    for said in [
        "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\r\n\r\n",
        "SSH-2.0-OpenSSH_9.9\r\n\r\n",
        "HTTP/1.1 99 Low\r\n\r\n",
        "HTTP/1.1 600 High\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 999 High\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        "HTTP/1.1 200 OK\r\na b: c\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n12",
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
    ] {
        let server = stalling(said).await;
        let world = World::bounded(|bounds| bounds.head_wait = PATIENCE / 8);
        let answer = world.worker().fetch(get(server.url("/"))).await;
        assert!(answer.is_err(), "{said:?}: {answer:?}");
    }
}

#[tokio::test]
async fn what_comes_beyond_the_length_belongs_to_no_request() {
    let server = answering(|_| b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil".to_vec()).await;
    let mut worker = World::new().worker();
    for _ in 0..5 {
        let (_, body) = worker.fetch(get(server.url("/"))).await.unwrap();
        assert_eq!(body, b"ok");
    }
}

#[tokio::test]
async fn heads_without_an_end_are_cut_off() {
    let many = "x-filler: 0123456789abcdef\r\n";
    for (first, again) in [
        ("HTTP/1.1 200 OK\r\n", many),
        ("HTTP/1.1 200 ", "OK"),
        ("HTTP/1.1 200 OK\r\nx: ", "0123456789abcdef"),
        ("HTTP/1.1 200 OK\r\n", "a: b\r\n"),
    ] {
        let server = endless(first, again).await;
        let why = World::new().failure(server.url("/")).await;
        assert!(
            why.contains("the head of the answer is larger"),
            "{first:?}: {why}"
        );
    }
}

#[tokio::test]
async fn endless_informational_answers_run_into_the_time_for_a_head() {
    let server = endless("", "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n").await;
    let world = World::bounded(|bounds| bounds.head_wait = Duration::from_millis(500));
    let why = world.failure(server.url("/")).await;
    assert!(why.contains("there was no answer within 0.5 s"), "{why}");
}

#[tokio::test]
async fn a_head_and_a_body_have_their_time() {
    let world = World::bounded(|bounds| bounds.head_wait = Duration::from_millis(400));
    for said in ["", "HTTP/1.1 200 OK\r\nx: "] {
        let server = stalling(said).await;
        let why = world.failure(server.url("/")).await;
        assert!(why.contains("there was no answer within 0.4 s"), "{why}");
    }
    let world = World::bounded(|bounds| bounds.piece_wait = Duration::from_millis(300));
    for said in [
        "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n12",
        "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-encoding: gzip\r\n\r\n",
    ] {
        let server = stalling(said).await;
        let why = world.failure(server.url("/")).await;
        assert!(
            why.contains("nothing more of the body came within 0.3 s"),
            "{why}"
        );
    }
}

#[tokio::test]
async fn a_server_that_does_not_take_a_body_has_its_time_too() {
    let server = listen(|stream| async move {
        let _held = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let world = World::bounded(|bounds| bounds.head_wait = Duration::from_millis(500));
    let pieces = vec![vec![0; 64 << 10]; 1 << 10];
    let request = post(server.url("/"), RequestBody::Stream { length: None });
    let why = world.worker().upload(request, pieces).await.unwrap_err();
    assert!(why.contains("there was no answer within 0.5 s"), "{why}");
}

#[tokio::test]
async fn an_early_answer_is_had_though_the_body_is_not_over() {
    let server = listen(|mut stream| async move {
        let _ = head(&mut stream).await;
        let early = b"HTTP/1.1 413 Too Large\r\ncontent-length: 5\r\n\r\nlarge";
        stream.write_all(early).await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let mut worker = World::new().worker();
    let id = worker.open(post(server.url("/"), RequestBody::Stream { length: None }));
    assert_eq!(worker.hear().await.step, ReplyStep::More);
    let response = worker.head(id).await.unwrap();
    assert_eq!(response.status, 413);
    assert_eq!(worker.rest(id).await.unwrap(), b"large");
    // What was asked for may still come, and means nothing any more.
    worker.say(id, CallStep::Send(vec![1]));
}

/// Says when each of its connections has ended.
async fn watched(said: &'static str) -> (Server, mpsc::UnboundedReceiver<()>) {
    let (ended, ends) = mpsc::unbounded_channel();
    let server = listen(move |mut stream| {
        let ended = ended.clone();
        async move {
            let _ = head(&mut stream).await;
            let _ = stream.write_all(said.as_bytes()).await;
            let _ = stream.read_to_end(&mut Vec::new()).await;
            let _ = ended.send(());
        }
    })
    .await;
    (server, ends)
}

#[tokio::test]
async fn connections_end_with_their_exchanges() {
    for (said, has_head) in [
        ("", false),
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n12", true),
    ] {
        let (server, mut ends) = watched(said).await;
        let world = World::new();
        let mut worker = world.worker();
        let mut ids = Vec::new();
        for _ in 0..8 {
            let id = worker.open(get(server.url("/")));
            if has_head {
                worker.head(id).await.unwrap();
            }
            ids.push(id);
        }
        while server.connections() < 8 {
            tokio::task::yield_now().await;
        }
        worker.say(ids[0], CallStep::Abort);
        timeout(PATIENCE, ends.recv()).await.unwrap().unwrap();
        drop(worker);
        for _ in 1..8 {
            timeout(PATIENCE, ends.recv()).await.unwrap().unwrap();
        }
    }
}

/// Numbers of a generator that a seed decides.
fn numbers(mut seed: u64) -> impl FnMut(usize) -> usize {
    move |below| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % below as u64).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn aborts_at_random_leave_nothing_behind() {
    let said = Arc::new(ok("", &[5; 200_000]));
    let answer = Arc::clone(&said);
    let server = answering(move |head| match head.contains("/there") {
        true => answer.to_vec(),
        false => redirect(302, "/there"),
    })
    .await;
    let world = World::bounded(|bounds| bounds.open_per_tenant = 48);
    for seed in 1..=20 {
        let mut number = numbers(u64::wrapping_mul(seed, 0x9e37_79b9_7f4a_7c15));
        let mut worker = world.worker();
        let mut open = Vec::new();
        for _ in 0..300 {
            match number(4) {
                0 if open.len() < 16 => {
                    let path = ["/here", "/there"][number(2)];
                    open.push((worker.open(get(server.url(path))), 0));
                }
                1 if !open.is_empty() => {
                    let (id, _) = open.swap_remove(number(open.len()));
                    worker.say(id, CallStep::Abort);
                }
                2 if !open.is_empty() => {
                    let at = number(open.len());
                    let (exchange, pulls) = &mut open[at];
                    if *pulls < 4 {
                        *pulls += 1;
                        let exchange = *exchange;
                        let step = CallStep::Pull;
                        worker.exchanges.call(FetchCall { exchange, step }).unwrap();
                    }
                }
                _ => {
                    let next = timeout(Duration::from_millis(1), worker.exchanges.next());
                    let Ok(reply) = next.await else { continue };
                    let at = open.iter().position(|(id, _)| *id == reply.exchange);
                    let at = at.expect("a word only for what is open");
                    match reply.step {
                        ReplyStep::Data(_) => open[at].1 -= 1,
                        ReplyStep::End => drop(open.swap_remove(at)),
                        ReplyStep::Failed(why) => panic!("{why}"),
                        ReplyStep::Opened(_) => {}
                        ReplyStep::More | ReplyStep::Again => panic!("there is no body"),
                    }
                }
            }
        }
        // Of the last ones some are dropped, some end.
        if number(2) == 0 {
            for (id, _) in open {
                worker.say(id, CallStep::Abort);
            }
            let (_, body) = worker.fetch(get(server.url("/there"))).await.unwrap();
            assert_eq!(body.len(), 200_000);
        }
    }
}
