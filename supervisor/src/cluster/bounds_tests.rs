//! More than a node has room for, over the wire: what is refused, and who is served all the same.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

use super::hostile_tests::{Scene, Sender, heard, written};
use super::routes::{ASK, PACKETS};
use super::sample_tests::{append, heartbeat, packet};
use super::stand_tests::*;
use super::{Outbox as _, Peer, Trust, batch};
use crate::limits::{
    COMMAND_BYTES_MAX, INBOX_KEPT_BACK, INBOX_LENGTH_MAX, PEER_ANSWERS_BYTES_MAX,
    PEER_BODIES_BYTES_MAX, PEER_CONNECTIONS_MAX, PEER_CONNECTS_AT_ONCE, PHONE_ANSWER_BYTES_MAX,
};
use crate::metrics::{Crowded, Way};
use crate::raft::core::Event;
use crate::raft::packet::{Lane, Packet};

#[tokio::test]
async fn a_node_that_has_too_much_to_do_takes_signs_of_life_and_says_no_to_entries() {
    let scene = Scene::new();
    let from_other = |packet: Packet| between(&scene.other, scene.me(), packet);
    let entries = batch::encode(&[from_other(append(1, Bytes::from_static(b"x")))]).0;
    let alive = batch::encode(&[from_other(heartbeat(1))]).0;
    let mut sender = scene.sender();
    for _ in 0..INBOX_LENGTH_MAX - INBOX_KEPT_BACK {
        let one = from_other(append(0, Bytes::new()));
        scene.stand.inbox.offer(Event::Packet(one)).unwrap();
    }
    assert_eq!(sender.ask(scene.at(), PACKETS, &entries).await, 503);
    assert_eq!(sender.ask(scene.at(), PACKETS, &alive).await, 204);
    assert_eq!(scene.stand.inbox.full().of(Crowded::Bulk).get(), 1);
    // It is sent again, and taken when there is room.
    let mut taken = Vec::new();
    while let waiting @ [_, ..] = &scene.stand.events()[..] {
        taken.extend_from_slice(waiting);
    }
    assert_eq!(taken.len(), INBOX_LENGTH_MAX - INBOX_KEPT_BACK + 1);
    assert_eq!(sender.ask(scene.at(), PACKETS, &entries).await, 204);
    assert_eq!(packets(scene.stand.events()).len(), 1);
}

#[tokio::test]
async fn who_sends_to_a_full_node_hears_that_its_packets_are_lost() {
    let configs = [config("a", Trust::Nobody), config("b", Trust::Nobody)];
    let all = || members(&[peer(&configs[0]), peer(&configs[1])]);
    let mut a = Stand::open(&configs[0], all());
    let b = Stand::open(&configs[1], all());
    let (one, two) = (a.endpoint.me().clone(), b.endpoint.me().clone());
    for _ in 0..INBOX_LENGTH_MAX - INBOX_KEPT_BACK {
        let waiting = between(&one, &two, append(0, Bytes::new()));
        b.inbox.offer(Event::Packet(waiting)).unwrap();
    }
    let entries = append(7, Bytes::from_static(b"x"));
    a.transport.send(between(&one, &two, entries.clone()));
    let told = until(&a.inbox, |events| !events.is_empty()).await;
    assert_eq!(told, [Event::Unreachable(two.id)]);
    assert_eq!(a.transport.figures().dropped.of(Way::Bulk).get(), 1);
    a.transport.send(between(&one, &two, packet(8)));
    let came = until(&b.inbox, |events| {
        events.len() > INBOX_LENGTH_MAX - INBOX_KEPT_BACK
    })
    .await;
    let last = packets(came).pop().unwrap();
    assert_eq!(last.lane(), Lane::Control);
    a.transport.send(between(&one, &two, entries));
    let came = until(&b.inbox, |events| !events.is_empty()).await;
    assert_eq!(packets(came)[0].lane(), Lane::Bulk);
}

/// Begins a request whose body is to have so many bytes, and says one of them.
async fn begin(scene: &Scene, sender: &mut Sender, bytes: usize) -> TcpStream {
    let headers = sender.head(&Method::POST, PACKETS, b"");
    let request = written(&Method::POST, PACKETS, &headers, b"");
    let request = String::from_utf8(request).unwrap();
    let request = request.replace("content-length: 0", &format!("content-length: {bytes}"));
    let mut stream = TcpStream::connect(scene.at()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.write_all(b"x").await.unwrap();
    stream
}

/// Another member, which does nobody any harm.
fn third(scene: &Scene) -> Peer {
    let third = peer(&config("c", Trust::Nobody));
    let all = [scene.me().clone(), scene.other.clone(), third.clone()];
    let hearing = scene.stand.endpoint.hearing();
    hearing.0.roster.set_members(&members(&all));
    third
}

#[tokio::test]
async fn a_node_whose_bodies_take_all_they_can_leaves_room_to_others() {
    const EACH: usize = 1 << 20;
    let scene = Scene::new();
    let third = third(&scene);
    let mut sender = scene.sender();
    let mut held = Vec::new();
    // So many are being read, and the next one is refused before anything of it is.
    let refused = loop {
        let mut stream = begin(&scene, &mut sender, EACH).await;
        match timeout(Duration::from_millis(300), heard(&mut stream)).await {
            Ok(status) => break status,
            Err(_) => held.push(stream),
        }
    };
    assert_eq!(refused, 503);
    assert_eq!(held.len(), PEER_BODIES_BYTES_MAX / EACH / 2);
    let from = |peer: &Peer, packet| batch::encode(&[between(peer, scene.me(), packet)]).0;
    let large = || append(1, Bytes::from(vec![7; 3 * EACH]));
    // Others are heard, and so are signs of life of that one.
    let mut others = Sender::new(&third, scene.me());
    let entries = from(&third, large());
    assert_eq!(others.ask(scene.at(), PACKETS, &entries).await, 204);
    let alive = from(&scene.other, heartbeat(1));
    assert_eq!(sender.ask(scene.at(), PACKETS, &alive).await, 204);
    assert_eq!(packets(scene.stand.events()).len(), 2);
    let entries = from(&scene.other, large());
    assert_eq!(sender.ask(scene.at(), PACKETS, &entries).await, 503);
    drop(held);
    let served = async { while sender.ask(scene.at(), PACKETS, &entries).await != 204 {} };
    timeout(PATIENCE, served).await.unwrap();
}

#[tokio::test]
async fn the_largest_packet_of_a_leader_is_taken() {
    let scene = Scene::new();
    let entry = Bytes::from(vec![7; COMMAND_BYTES_MAX]);
    let packet = between(&scene.other, scene.me(), append(1, entry));
    let body = batch::encode(std::slice::from_ref(&packet)).0;
    let mut sender = scene.sender();
    assert_eq!(sender.ask(scene.at(), PACKETS, &body).await, 204);
    assert_eq!(packets(scene.stand.events()), [packet]);
}

/// Asks for an answer of so many bytes, and takes no more of it than its status.
async fn ask_for(scene: &Scene, sender: &mut Sender, bytes: usize) -> (TcpStream, u16) {
    let socket = TcpSocket::new_v4().unwrap();
    // The kernel takes nothing for us either.
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(scene.at()).await.unwrap();
    let question = bytes.to_string();
    let request = sender.request(&Method::POST, ASK, question.as_bytes());
    stream.write_all(&request).await.unwrap();
    let status = heard(&mut stream).await;
    (stream, status)
}

#[tokio::test]
async fn a_node_that_takes_no_answers_leaves_room_to_others() {
    let scene = Scene::new();
    let third = third(&scene);
    let (mut greedy, mut others) = (scene.sender(), Sender::new(&third, scene.me()));
    let mut untaken = Vec::new();
    let refused = loop {
        let (stream, status) = ask_for(&scene, &mut greedy, PHONE_ANSWER_BYTES_MAX).await;
        if status != 200 {
            break status;
        }
        untaken.push(stream);
    };
    assert_eq!(refused, 503);
    let most = PEER_ANSWERS_BYTES_MAX / PHONE_ANSWER_BYTES_MAX / 2;
    assert_eq!(untaken.len(), most);
    let (_, status) = ask_for(&scene, &mut others, PHONE_ANSWER_BYTES_MAX).await;
    assert_eq!(status, 200);
    drop(untaken);
    let served = async { while ask_for(&scene, &mut greedy, 1 << 20).await.1 != 200 {} };
    timeout(PATIENCE, served).await.unwrap();
}

#[tokio::test]
async fn a_node_with_many_connections_loses_its_own_oldest() {
    let scene = Scene::new();
    let mut open = Vec::new();
    for number in 0..=PEER_CONNECTIONS_MAX as u64 {
        let request = scene
            .sender()
            .request(&Method::POST, PACKETS, &scene.body(number));
        let mut stream = TcpStream::connect(scene.at()).await.unwrap();
        stream.write_all(&request).await.unwrap();
        assert_eq!(heard(&mut stream).await, 204);
        open.push(stream);
    }
    assert_eq!(
        packets(scene.stand.events()).len(),
        PEER_CONNECTIONS_MAX + 1
    );
    let mut oldest = open.remove(0);
    let ended = async {
        let mut rest = Vec::new();
        oldest.read_to_end(&mut rest).await
    };
    // It is cut off, in whichever way.
    let _ = timeout(PATIENCE, ended).await.unwrap();
    let figures = scene.stand.transport.figures();
    let gone = async {
        while figures.connections.get() > PEER_CONNECTIONS_MAX as i64 {
            sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(PATIENCE, gone).await.unwrap();
    let request = scene
        .sender()
        .request(&Method::POST, PACKETS, &scene.body(9));
    open[0].write_all(&request).await.unwrap();
    let came = until(&scene.stand.inbox, |events| !events.is_empty()).await;
    assert_eq!(packets(came).len(), 1);
}

#[tokio::test]
async fn who_connects_too_fast_is_cut_off_and_those_who_are_here_are_served() {
    let scene = Scene::new();
    let mut sender = scene.sender();
    let mut node = TcpStream::connect(scene.at()).await.unwrap();
    let request = sender.request(&Method::POST, PACKETS, &scene.body(1));
    node.write_all(&request).await.unwrap();
    assert_eq!(heard(&mut node).await, 204);
    scene.stand.events();
    let figures = scene.stand.transport.figures();
    let mut connected = 0;
    while figures.hurried.get() == 0 {
        drop(TcpStream::connect(scene.at()).await.unwrap());
        connected += 1;
        assert!(connected < 20 * PEER_CONNECTS_AT_ONCE, "nobody is cut off");
    }
    assert!(connected >= PEER_CONNECTS_AT_ONCE - 1);
    let request = sender.request(&Method::POST, PACKETS, &scene.body(2));
    node.write_all(&request).await.unwrap();
    let came = until(&scene.stand.inbox, |events| !events.is_empty()).await;
    assert_eq!(packets(came).len(), 1);
    // After a moment others are, too.
    let body = scene.body(3);
    let served = async { while sender.ask(scene.at(), PACKETS, &body).await != 204 {} };
    timeout(PATIENCE, served).await.unwrap();
}
