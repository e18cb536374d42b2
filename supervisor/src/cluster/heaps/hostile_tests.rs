//! Members that lie about heaps: nothing wrong is taken, nobody is held up, and others are asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::tests::{Shop, alice, build, noise};
use super::words::{self, Name, Said, Size, Told};
use crate::cluster::line::{Line, Question, Target};
use crate::cluster::routes::HEAPS;
use crate::cluster::stand_tests::*;
use crate::cluster::{Outbox as _, Peer, Trust};
use crate::heaps::{HeapError, HeapId, Shape, Wanted};
use crate::limits::{
    HEAP_BYTES_MAX, HEAP_PIECE_BYTES, HEAP_TRANSFERS_AT_ONCE, HEAP_WORD_BYTES_MAX,
};

const PIECE: u64 = HEAP_PIECE_BYTES as u64;

/// What a liar says; nothing, and it says nothing.
pub(super) type Lie = Arc<dyn Fn(Said) -> Option<Vec<u8>> + Send + Sync>;

pub(super) fn lie(lie: impl Fn(Said) -> Option<Vec<u8>> + Send + Sync + 'static) -> Lie {
    Arc::new(lie)
}

/// It says this, whatever it is asked.
pub(super) fn always(told: Told) -> Lie {
    lie(move |_| words::encode(&told).ok())
}

fn size(is_packed: bool, snapshot_bytes: u64, payload_bytes: u64) -> Size {
    Size::new(Shape {
        is_packed,
        snapshot_bytes,
        payload_bytes,
    })
}

/// Somebody who answers as a node does, and lies.
async fn liar(what: Lie) -> Peer {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut peer = peer(&config("liar", Trust::Nobody));
    peer.address = listener.local_addr().unwrap().to_string().parse().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(converse(stream, Arc::clone(&what)));
        }
    });
    peer
}

async fn converse(mut stream: TcpStream, what: Lie) {
    let mut held = Vec::new();
    loop {
        let mut piece = vec![0; 65536];
        let Ok(read @ 1..) = stream.read(&mut piece).await else {
            return;
        };
        held.extend_from_slice(&piece[..read]);
        let Some(head) = held.windows(4).position(|four| four == b"\r\n\r\n") else {
            continue;
        };
        let text = String::from_utf8_lossy(&held[..head]).to_lowercase();
        let length = text.split("content-length: ").nth(1).unwrap();
        let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
        let end = head + 4 + length;
        if held.len() < end {
            continue;
        }
        let said = words::decode(&held[head + 4..end]).unwrap();
        let Some(body) = what(said) else {
            return std::future::pending().await;
        };
        held.drain(..end);
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        let answer = [head.as_bytes(), &body].concat();
        if stream.write_all(&answer).await.is_err() {
            return;
        }
    }
}

/// A node, a liar, and another honest node.
pub(super) struct Scene {
    pub(super) a: Shop,
    pub(super) c: Shop,
}

impl Scene {
    pub(super) async fn new(what: Lie) -> Self {
        let (one, three) = (config("a", Trust::Nobody), config("c", Trust::Nobody));
        let liar = liar(what).await;
        let all = || members(&[peer(&one), liar.clone(), peer(&three)]);
        Self {
            a: Shop::open(&one, all(), build()),
            c: Shop::open(&three, all(), build()),
        }
    }
}

/// Whatever the liar says, the heap comes from the honest one, and nothing else is kept.
async fn comes_from_the_honest(what: Lie) {
    let scene = Scene::new(what).await;
    let content = noise(100_000);
    let id = HeapId::of(&content);
    // Only there: it believes that it is alone while it puts it.
    let mut scene = scene;
    let me = scene.c.stand.endpoint.me().clone();
    let all = members(&[me.clone(), scene.a.stand.endpoint.me().clone()]);
    let alone = members(std::slice::from_ref(&me));
    scene.c.stand.transport.members(&alone);
    scene.c.heaps.put(&alice(), content.clone()).await.unwrap();
    scene.c.stand.transport.members(&all);
    let began = Instant::now();
    let fetched = scene.a.heaps.fetch(&alice(), id).await.unwrap();
    assert!(*fetched == content[..]);
    assert!(began.elapsed() < Duration::from_secs(15));
    // What it has not heard from anybody honest it does not have.
    let other = HeapId::of(b"nobody has it");
    let error = scene.a.heaps.fetch(&alice(), other).await.unwrap_err();
    let is_refused = matches!(
        error,
        HeapError::Unavailable { .. } | HeapError::Incompatible { .. } | HeapError::Unknown { .. }
    );
    assert!(is_refused, "{error:?}");
    assert!(!scene.a.has(&alice(), other));
}

#[tokio::test]
async fn another_content_is_not_taken() {
    comes_from_the_honest(always(Told::Begins {
        transfer: 0,
        size: size(false, 5, 5),
        piece: b"other".to_vec(),
    }))
    .await;
}

#[tokio::test]
async fn what_unpacks_to_more_than_was_said_is_not_taken() {
    let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 1).unwrap();
    let payload = bomb.len() as u64;
    comes_from_the_honest(always(Told::Begins {
        transfer: 0,
        size: size(true, payload + 1, payload),
        piece: bomb,
    }))
    .await;
}

#[tokio::test]
async fn sizes_and_pieces_that_cannot_be_are_not_believed() {
    let begins = |size, bytes: usize| {
        always(Told::Begins {
            transfer: 7,
            size,
            piece: vec![0; bytes],
        })
    };
    let most = HEAP_BYTES_MAX as u64;
    for what in [
        begins(size(false, most + 1, most + 1), HEAP_PIECE_BYTES),
        begins(size(true, u64::MAX, u64::MAX - 1), HEAP_PIECE_BYTES),
        begins(size(false, 10, 10), 9),
        begins(size(false, 10, 10), 11),
        begins(size(false, 10, 9), 9),
    ] {
        comes_from_the_honest(what).await;
    }
}

#[tokio::test]
async fn words_that_make_no_sense_are_not_believed() {
    let garbage: [&[u8]; 4] = [b"", b"\x01", b"\xff\xff\xff\xff", b"{\"error\":\"x\"}"];
    for bytes in garbage {
        comes_from_the_honest(lie(move |_| Some(bytes.to_vec()))).await;
    }
    for told in [
        Told::Kept,
        Told::GoOn { transfer: 1 },
        Told::Piece(vec![1]),
        Told::Lost,
        Told::Busy,
        Told::Missing,
        Told::OtherBuild("V8 1 on x".to_owned()),
        Told::Refused("no".repeat(1000)),
    ] {
        comes_from_the_honest(always(told)).await;
    }
}

#[tokio::test]
async fn who_says_nothing_is_not_waited_for() {
    comes_from_the_honest(lie(|_| None)).await;
    // It begins, and goes on in pieces of nothing, or too much.
    for bytes in [0, HEAP_PIECE_BYTES + 1] {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        comes_from_the_honest(lie(move |said| match said {
            Said::Fetch(_) => words::encode(&Told::Begins {
                transfer: 9,
                size: size(false, 3 * PIECE, 3 * PIECE),
                piece: vec![0; HEAP_PIECE_BYTES],
            })
            .ok(),
            _ => {
                count.fetch_add(1, Ordering::SeqCst);
                words::encode(&Told::Piece(vec![0; bytes])).ok()
            }
        }))
        .await;
        assert!(asked.load(Ordering::SeqCst) < 10);
    }
}

#[tokio::test]
async fn a_copy_goes_to_who_takes_it() {
    for what in [
        always(Told::GoOn { transfer: 1 }),
        always(Told::Missing),
        always(Told::Lost),
        always(Told::Busy),
        always(Told::Refused("no".to_owned())),
        lie(|_| Some(b"garbage".to_vec())),
        lie(|_| None),
    ] {
        let scene = Scene::new(what).await;
        for content in [noise(1000), noise(HEAP_PIECE_BYTES + 100)] {
            let id = scene.a.heaps.put(&alice(), content).await.unwrap().id;
            assert!(scene.c.has(&alice(), id));
        }
    }
}

/// An honest node, and a member that speaks to it.
pub(super) struct Hall {
    a: Shop,
    pub(super) b: Shop,
    line: Line,
}

impl Hall {
    pub(super) fn new() -> Self {
        let (one, two) = (config("a", Trust::Nobody), config("b", Trust::Nobody));
        let all = || members(&[peer(&one), peer(&two)]);
        let a = Shop::open(&one, all(), build());
        let b = Shop::open(&two, all(), build());
        let line = Line::new(b.stand.transport.local(), target(&a));
        Self { a, b, line }
    }

    async fn raw(&mut self, body: impl Into<Bytes>) -> (u16, Bytes) {
        let question = Question {
            method: Method::POST,
            path: HEAPS,
            body: body.into(),
            patience: PATIENCE,
        };
        let answer = self.line.ask(&question).await.unwrap();
        (answer.status.as_u16(), answer.body)
    }

    pub(super) async fn say(&mut self, said: &Said) -> Result<Told, u16> {
        let (status, body) = self.raw(words::encode(said).unwrap()).await;
        if status != 200 {
            return Err(status);
        }
        Ok(words::decode(&body).unwrap())
    }

    /// It brings and fetches heaps as ever.
    pub(super) async fn is_unharmed(&self) {
        let content = noise(HEAP_PIECE_BYTES + 5);
        let put = self.b.heaps.put(&alice(), content.clone()).await.unwrap();
        assert!(self.a.has(&alice(), put.id));
        let fetched = self.a.heaps.fetch(&alice(), put.id).await.unwrap();
        assert!(*fetched == content[..]);
    }
}

fn target(shop: &Shop) -> Target {
    let me = shop.stand.endpoint.me();
    Target {
        address: me.address.clone(),
        name: None,
        id: Some(me.id),
    }
}

fn name(id: HeapId) -> Name {
    Name::new(&Wanted {
        tenant: alice(),
        id,
        build: build(),
    })
}

#[tokio::test]
async fn what_is_brought_under_another_name_is_not_kept() {
    let mut hall = Hall::new();
    let id = HeapId::of(b"something");
    let keep = |size, piece: &[u8]| Said::Keep {
        name: name(id),
        size,
        piece: piece.to_vec(),
    };
    let told = hall.say(&keep(size(false, 5, 5), b"other")).await.unwrap();
    assert!(matches!(told, Told::Refused(_)), "{told:?}");
    // It unpacks to far more than it says.
    let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 1).unwrap();
    let bytes = bomb.len() as u64;
    let bomb = keep(size(true, bytes + 1, bytes), &bomb);
    let told = hall.say(&bomb).await.unwrap();
    assert!(matches!(told, Told::Refused(_)), "{told:?}");
    // In pieces it is no other.
    let first = vec![1; HEAP_PIECE_BYTES];
    let begin = keep(size(false, PIECE + 1, PIECE + 1), &first);
    let Told::GoOn { transfer } = hall.say(&begin).await.unwrap() else {
        panic!("it does not go on");
    };
    let more = Said::KeepMore {
        transfer,
        offset: PIECE,
        piece: vec![1],
    };
    let told = hall.say(&more).await.unwrap();
    assert!(matches!(told, Told::Refused(_)), "{told:?}");
    assert!(!hall.a.has(&alice(), id));
    hall.is_unharmed().await;
}

#[tokio::test]
async fn what_is_said_is_said_in_order_and_in_its_size() {
    let mut hall = Hall::new();
    let id = HeapId::of(b"something");
    let most = HEAP_BYTES_MAX as u64;
    for (size, bytes) in [
        (size(false, 10, 10), 9),
        (size(false, 10, 10), 11),
        (size(false, most + 1, most + 1), HEAP_PIECE_BYTES),
        (size(true, u64::MAX, 5), 5),
        (size(true, 4, 5), 5),
    ] {
        let said = Said::Keep {
            name: name(id),
            size,
            piece: vec![0; bytes],
        };
        assert_eq!(hall.say(&said).await, Err(400), "{size:?} {bytes}");
    }
    let begin = Said::Keep {
        name: name(id),
        size: size(false, 3 * PIECE, 3 * PIECE),
        piece: vec![1; HEAP_PIECE_BYTES],
    };
    for (offset, bytes) in [
        (0, HEAP_PIECE_BYTES),
        (2 * PIECE, HEAP_PIECE_BYTES),
        (PIECE, 0),
        (PIECE, 1),
        (u64::MAX, HEAP_PIECE_BYTES),
    ] {
        let Ok(Told::GoOn { transfer }) = hall.say(&begin).await else {
            panic!("it does not go on");
        };
        let more = |offset, bytes| Said::KeepMore {
            transfer,
            offset,
            piece: vec![1; bytes],
        };
        assert_eq!(hall.say(&more(offset, bytes)).await, Ok(Told::Lost));
        // That was its end.
        let next = more(PIECE, HEAP_PIECE_BYTES);
        assert_eq!(hall.say(&next).await, Ok(Told::Lost));
        let other_way = Said::FetchMore {
            transfer,
            offset: PIECE,
        };
        assert_eq!(hall.say(&other_way).await, Ok(Told::Lost));
    }
    for garbage in [&b""[..], b"\x01\xff", b"\x02", b"\x01\x00"] {
        let (status, _) = hall.raw(garbage.to_vec()).await;
        assert_eq!(status, 400, "{garbage:?}");
    }
    let (status, _) = hall.raw(vec![1; HEAP_WORD_BYTES_MAX + 1]).await;
    assert_eq!(status, 413);
    hall.is_unharmed().await;
}

#[tokio::test]
async fn who_begins_without_end_holds_up_nobody() {
    let mut hall = Hall::new();
    let most = HEAP_BYTES_MAX as u64;
    let mut begun = 0;
    for number in 0..4 * HEAP_TRANSFERS_AT_ONCE {
        let said = Said::Keep {
            name: name(HeapId::of(&number.to_le_bytes())),
            size: size(false, most, most),
            piece: vec![1; HEAP_PIECE_BYTES],
        };
        match hall.say(&said).await.unwrap() {
            Told::GoOn { .. } => begun += 1,
            Told::Busy => {}
            told => panic!("{told:?}"),
        }
    }
    assert_eq!(begun, 1, "a node holds more than what it leaves");
    // What is small needs no room, and what has room finds it.
    let small = noise(1000);
    let put = hall.b.heaps.put(&alice(), small).await.unwrap();
    assert!(hall.a.has(&alice(), put.id));
}

#[tokio::test]
async fn a_transfer_is_its_nodes_own() {
    let mut hall = Hall::new();
    let content = noise(3 * HEAP_PIECE_BYTES);
    let put = hall.b.heaps.put(&alice(), content.clone()).await.unwrap();
    let fetch = Said::Fetch(name(put.id));
    let Told::Begins { transfer, .. } = hall.say(&fetch).await.unwrap() else {
        panic!("it is not given");
    };
    // Members are trusted with the heaps of all tenants, and have to name one.
    let bob = Said::Fetch(Name::new(&Wanted {
        tenant: "bob".parse().unwrap(),
        id: put.id,
        build: build(),
    }));
    assert_eq!(hall.say(&bob).await, Ok(Told::Missing));
    for (transfer, offset) in [
        (transfer + 1, PIECE),
        (transfer, 3 * PIECE),
        (transfer, u64::MAX),
    ] {
        let more = Said::FetchMore { transfer, offset };
        assert_eq!(hall.say(&more).await, Ok(Told::Lost));
    }
    let more = Said::FetchMore {
        transfer,
        offset: PIECE + 1,
    };
    let Ok(Told::Piece(piece)) = hall.say(&more).await else {
        panic!("it is not given");
    };
    assert!(piece == content[HEAP_PIECE_BYTES + 1..2 * HEAP_PIECE_BYTES + 1]);
    hall.is_unharmed().await;
}
