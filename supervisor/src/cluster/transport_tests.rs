//! Nodes on this machine that speak to each other.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::bootstrap::{Disk, first_cluster};
use super::line::{Line, Question, Target};
use super::sample_tests::{announced, append, heartbeat, made, packet};
use super::stand_tests::*;
use super::*;
use crate::limits::SNAPSHOT_PIECE_BYTES;
use crate::metrics::{SnapshotTravel, TransportFigures, Way};
use crate::raft::core::{Event, TurnedAway};
use crate::raft::ids::Incarnation;
use crate::raft::packet::{Body, Lane, Packet};
use crate::raft::request::MemberChange;

/// Two nodes that know each other by this.
pub(super) fn pair(trusts: [Trust; 2]) -> ([ClusterConfig; 2], [Stand; 2]) {
    let [a, b] = trusts;
    let configs = [config("a", a), config("b", b)];
    let all = || members(&[peer(&configs[0]), peer(&configs[1])]);
    let stands = [
        Stand::open(&configs[0], all()),
        Stand::open(&configs[1], all()),
    ];
    (configs, stands)
}

async fn exchange(a: &mut Stand, b: &mut Stand) {
    one_way(a, b).await;
    one_way(b, a).await;
    let (sent, received) = (a.transport.figures(), b.transport.figures());
    for way in [Way::Control, Way::Bulk] {
        // Whoever has sent hears of the last ones a moment later.
        assert_eq!(received.received.of(way).get(), 300);
        assert!(sent.dropped.of(way).get() == 0);
    }
    let bytes = |figures: &TransportFigures| figures.received_bytes.of(Way::Bulk).get();
    assert!(bytes(&received) > 300 * 2000 && bytes(&sent) > 300 * 2000);
    assert!(received.connections.get() >= 2 && received.strangers.get() == 0);
}

async fn one_way(sender: &mut Stand, receiver: &Stand) {
    let (from, to) = (sender.endpoint.me().clone(), receiver.endpoint.me().clone());
    for number in 0..300 {
        sender.transport.send(between(&from, &to, packet(number)));
        let entries = append(number, Bytes::from(vec![7; 2000]));
        sender.transport.send(between(&from, &to, entries));
    }
    let came = until(&receiver.inbox, |events| events.len() >= 600).await;
    let came = packets(came);
    for lane in [Lane::Control, Lane::Bulk] {
        let of_lane = came.iter().filter(|packet| packet.lane() == lane);
        let numbers: Vec<u64> = of_lane.map(number_of).collect();
        assert_eq!(numbers, (0..300).collect::<Vec<u64>>(), "{lane:?}");
    }
}

fn number_of(packet: &Packet) -> u64 {
    match &packet.body {
        Body::Raft(message) => message.index,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn packets_go_both_ways_in_order() {
    let (_, [mut a, mut b]) = pair([Trust::Nobody, Trust::Nobody]);
    exchange(&mut a, &mut b).await;
}

#[tokio::test]
async fn packets_go_both_ways_with_a_secret() {
    let home = tempfile::tempdir().unwrap();
    let trust = || secret_file(home.path(), SECRET);
    let (_, [mut a, mut b]) = pair([trust(), trust()]);
    exchange(&mut a, &mut b).await;
}

#[tokio::test]
async fn packets_go_both_ways_with_certificates() {
    let authority = Authority::new();
    let (_, [mut a, mut b]) = pair([authority.sign("a"), authority.sign("b")]);
    exchange(&mut a, &mut b).await;
}

#[tokio::test]
async fn a_node_with_the_certificate_of_another_hears_nothing() {
    let authority = Authority::new();
    // It listens where b should be.
    let mut wrong = config("c", authority.sign("c"));
    let own = config("a", authority.sign("a"));
    wrong.advertise = wrong.listen.to_string().parse().unwrap();
    let mut b = peer(&config("b", Trust::Nobody));
    b.address = wrong.advertise.clone();
    let all = || members(&[peer(&own), b.clone()]);
    let mut a = Stand::open(&own, all());
    let c = Stand::open(&wrong, all());
    let me = a.endpoint.me().clone();
    a.transport.send(between(&me, &b, packet(1)));
    let events = until(&a.inbox, |events| !events.is_empty()).await;
    assert_eq!(events, [Event::Unreachable(b.id)]);
    assert!(c.events().is_empty());
}

#[tokio::test]
async fn a_node_that_comes_back_is_reached_again() {
    let (configs, [mut a, b]) = pair([Trust::Nobody, Trust::Nobody]);
    let (one, two) = (a.endpoint.me().clone(), b.endpoint.me().clone());
    a.transport.send(between(&one, &two, packet(1)));
    until(&b.inbox, |events| events.len() == 1).await;
    b.close().await;
    a.transport.send(between(&one, &two, packet(2)));
    let lost = until(&a.inbox, |events| !events.is_empty()).await;
    assert_eq!(lost, [Event::Unreachable(two.id)]);
    let dropped = a.transport.figures().dropped;
    assert_eq!(dropped.of(Way::Control).get(), 1);
    let b = Stand::open(&configs[1], members(&[one.clone(), two.clone()]));
    let mut came = Vec::new();
    while came.is_empty() {
        a.transport.send(between(&one, &two, packet(3)));
        sleep(Duration::from_millis(20)).await;
        came = packets(b.events());
    }
    assert_eq!(number_of(&came[0]), 3);
}

#[tokio::test]
async fn a_member_that_says_nothing_is_missed() {
    let (_, [mut a, b]) = pair([Trust::Nobody, Trust::Nobody]);
    let (one, two) = (a.endpoint.me().clone(), b.endpoint.me().clone());
    let hearing = b.endpoint.hearing();
    let silence = || match hearing.silences()[..] {
        [(id, silence)] if id == one.id => silence,
        ref other => panic!("{other:?}"),
    };
    sleep(Duration::from_millis(50)).await;
    let before = silence();
    assert!(before >= Duration::from_millis(50));
    a.transport.send(between(&one, &two, packet(1)));
    until(&b.inbox, |events| events.len() == 1).await;
    assert!(silence() < before);
    // Whoever is no member any more is not missed.
    b.endpoint.hearing().0.roster.set_members(&members(&[two]));
    assert_eq!(hearing.silences(), []);
}

/// Answers what is small, and says how long each body is that came; leaves what is large unanswered.
async fn answers_only_what_is_small(listener: TcpListener, told: mpsc::UnboundedSender<usize>) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let told = told.clone();
        tokio::spawn(async move {
            let mut held = Vec::new();
            loop {
                let mut piece = vec![0; 65536];
                let Ok(read @ 1..) = stream.read(&mut piece).await else {
                    return;
                };
                held.extend_from_slice(&piece[..read]);
                let text = String::from_utf8_lossy(&held).to_lowercase();
                let Some(head) = text.find("\r\n\r\n") else {
                    continue;
                };
                let length = text.split("content-length: ").nth(1).unwrap();
                let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
                if length > 100_000 {
                    told.send(length).unwrap();
                    std::future::pending::<()>().await;
                }
                if text.len() >= head + 4 + length && held.len() >= head + 4 + length {
                    told.send(length).unwrap();
                    held.drain(..head + 4 + length);
                    let done = b"HTTP/1.1 204 No Content\r\n\r\n";
                    stream.write_all(done).await.unwrap();
                }
            }
        });
    }
}

#[tokio::test]
async fn a_large_append_delays_no_sign_of_life() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = config("a", Trust::Nobody);
    let mut other = peer(&config("b", Trust::Nobody));
    other.address = listener.local_addr().unwrap().to_string().parse().unwrap();
    let (told, mut bodies) = mpsc::unbounded_channel();
    tokio::spawn(answers_only_what_is_small(listener, told));
    let mut a = Stand::open(&own, members(&[peer(&own), other.clone()]));
    let me = a.endpoint.me().clone();
    let large = append(1, Bytes::from(vec![1; 1 << 20]));
    a.transport.send(between(&me, &other, large));
    let first = timeout(PATIENCE, bodies.recv()).await.unwrap().unwrap();
    assert!(first > 1 << 20);
    // It is not answered, and these are, one after the other.
    for commit in 0..5 {
        a.transport.send(between(&me, &other, heartbeat(commit)));
        let small = timeout(PATIENCE, bodies.recv()).await.unwrap().unwrap();
        assert!(small < 1000);
    }
}

#[tokio::test]
async fn who_was_removed_hears_so_from_whoever_it_speaks_to() {
    let (_, [mut a, mut b]) = pair([Trust::Nobody, Trust::Nobody]);
    let (one, two) = (a.endpoint.me().clone(), b.endpoint.me().clone());
    let mut without = members(std::slice::from_ref(&two));
    without.removed.push(one.id);
    b.transport.members(&without);
    a.transport.send(between(&one, &two, packet(1)));
    let events = until(&a.inbox, |events| events.len() >= 2).await;
    assert_eq!(events, [Event::ToldRemoved, Event::Unreachable(two.id)]);
    assert!(b.events().is_empty());
    // What the node itself finds wrong is told with the next answer.
    let (_, [mut a, mut b]) = pair([Trust::Nobody, Trust::Nobody]);
    let (one, two) = (a.endpoint.me().clone(), b.endpoint.me().clone());
    b.transport.turn_away(one.id, TurnedAway::Removed);
    a.transport.send(between(&one, &two, packet(1)));
    let events = until(&a.inbox, |events| events.len() >= 2).await;
    assert!(events.contains(&Event::ToldRemoved));
}

/// Passes bytes on, and cuts the first connection that has passed this many.
async fn cutting_proxy(listener: TcpListener, to: std::net::SocketAddr, passed: Arc<AtomicU64>) {
    const CUT: u64 = 2_500_000;
    let has_cut = Arc::new(std::sync::atomic::AtomicBool::new(false));
    loop {
        let (inward, _) = listener.accept().await.unwrap();
        let (passed, has_cut) = (Arc::clone(&passed), Arc::clone(&has_cut));
        tokio::spawn(async move {
            let Ok(outward) = TcpStream::connect(to).await else {
                return;
            };
            let (mut inward_read, mut inward_write) = inward.into_split();
            let (mut outward_read, mut outward_write) = outward.into_split();
            let back = tokio::spawn(async move {
                let _ = tokio::io::copy(&mut outward_read, &mut inward_write).await;
            });
            let mut piece = vec![0; 65536];
            while let Ok(read @ 1..) = inward_read.read(&mut piece).await {
                let all = passed.fetch_add(read as u64, Ordering::SeqCst) + read as u64;
                if all > CUT && !has_cut.swap(true, Ordering::SeqCst) {
                    break;
                }
                if outward_write.write_all(&piece[..read]).await.is_err() {
                    break;
                }
            }
            back.abort();
        });
    }
}

#[tokio::test]
async fn a_snapshot_survives_a_cut_connection() {
    let home = tempfile::tempdir().unwrap();
    let trust = || secret_file(home.path(), SECRET);
    let (_, [mut a, b]) = pair([trust(), trust()]);
    let me = a.endpoint.me().clone();
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut behind = b.endpoint.me().clone();
    behind.address = proxy.local_addr().unwrap().to_string().parse().unwrap();
    a.transport.members(&members(&[me.clone(), behind.clone()]));
    let passed = Arc::new(AtomicU64::new(0));
    tokio::spawn(cutting_proxy(
        proxy,
        b.endpoint.address(),
        Arc::clone(&passed),
    ));

    let made = made(home.path(), 100, 5);
    let content = fs::read(&made.path).unwrap();
    assert!(content.len() > 5_000_000);
    let snapshot = between(&me, &behind, announced(&made));
    a.transport
        .send_snapshot(snapshot.clone(), made.path.clone());
    // The file may go once it is on its way.
    fs::remove_file(made.path).unwrap();
    let events = until(&a.inbox, |events| !events.is_empty()).await;
    let (to, is_there) = (behind.id, true);
    assert_eq!(events, [Event::SnapshotSent { to, is_there }]);
    assert_eq!(packets(b.events()), [snapshot]);
    let arrived = snapshot::shelf::arrived_name(&made.manifest);
    let arrived = b.home.path().join("snapshots").join(arrived);
    assert!(fs::read(arrived).unwrap() == content);
    let passed = passed.load(Ordering::SeqCst);
    let (sent, received) = (a.transport.figures(), b.transport.figures());
    assert_eq!(sent.snapshots.of(SnapshotTravel::Sent).get(), 1);
    assert_eq!(received.snapshots.of(SnapshotTravel::Received).get(), 1);
    let all = content.len() as u64;
    assert!(sent.sent_bytes.of(Way::Snapshot).get() >= all - SNAPSHOT_PIECE_BYTES as u64);
    assert!(received.received_bytes.of(Way::Snapshot).get() >= all);
    assert!(
        passed < 2 * content.len() as u64 - 2_500_000,
        "all of it was sent again: {passed} bytes"
    );
}

#[tokio::test]
async fn what_becomes_of_a_snapshot_is_told_in_any_case() {
    let own = config("a", Trust::Nobody);
    let nobody = peer(&config("b", Trust::Nobody));
    let mut a = Stand::open(&own, members(&[peer(&own), nobody.clone()]));
    let me = a.endpoint.me().clone();
    let made = made(a.home.path(), 9, 0);
    let snapshot = between(&me, &nobody, announced(&made));
    let (to, is_there) = (nobody.id, false);
    for file in [a.home.path().join("missing"), made.path] {
        a.transport.send_snapshot(snapshot.clone(), file);
        let events = until(&a.inbox, |events| !events.is_empty()).await;
        assert_eq!(events, [Event::SnapshotSent { to, is_there }]);
    }
    let unsent = a.transport.figures().snapshots;
    assert_eq!(unsent.of(SnapshotTravel::Unsent).get(), 2);
}

#[tokio::test]
async fn first_members_come_together_and_others_join_them() {
    let home = tempfile::tempdir().unwrap();
    let trust = || secret_file(home.path(), SECRET);
    let mut configs = ["a", "b", "c"].map(|name| config(name, trust()));
    let listed: Vec<Listed> = configs
        .iter()
        .map(|config| {
            format!("{}@{}", config.name, config.advertise)
                .parse()
                .unwrap()
        })
        .collect();
    for (at, config) in configs.iter_mut().enumerate() {
        let mut others = listed.clone();
        others.remove(at);
        // A bare address is as good.
        others[0].name = None;
        config.begin = Begin::With(others);
    }
    let mut tasks = Vec::new();
    for config in configs.clone() {
        let snapshots = home.path().join(config.name.as_str());
        tasks.push(tokio::spawn(async move {
            let endpoint = Endpoint::open(&config, Incarnation([7; 16])).unwrap();
            let start = endpoint.begin(&config, Disk::Empty).await.unwrap();
            let Start::First(first) = start else {
                panic!("{start:?}");
            };
            let control = Arc::new(Obedient::default());
            let members = crate::raft::state::Members {
                present: first.members.clone(),
                removed: Vec::new(),
            };
            let transport = endpoint.found(first.cluster, &members).unwrap();
            let parts = Parts {
                inbox: Inbox::new(),
                control: Arc::clone(&control) as Arc<dyn ClusterControl>,
                answers: Arc::new(Talkative::default()),
                heaps: None,
                snapshots,
            };
            endpoint.enter(parts).unwrap();
            (endpoint, transport, first, control)
        }));
    }
    let mut nodes = Vec::new();
    for task in tasks {
        nodes.push(timeout(PATIENCE, task).await.unwrap().unwrap());
    }
    let first = nodes[0].2.clone();
    assert_eq!(first.members.len(), 3);
    assert_eq!(first_cluster(&first.members), first.cluster);
    assert!(nodes.iter().all(|node| node.2 == first));

    let mut late = config("d", trust());
    late.begin = Begin::Join {
        seed: configs[1].advertise.clone(),
        as_learner: true,
    };
    let endpoint = Endpoint::open(&late, Incarnation([9; 16])).unwrap();
    let start = endpoint.begin(&late, Disk::Empty).await.unwrap();
    assert_eq!(start, Start::Await(first.clone()));
    let asked = nodes[1].3.0.lock().unwrap().clone();
    assert_eq!(asked, [MemberChange::Join(endpoint.me().as_member(true))]);
}

async fn ask(
    stand: &Stand,
    from: &Stand,
    (method, path): (http::Method, &'static str),
    body: &str,
) -> (u16, serde_json::Value) {
    let target = Target {
        address: stand.endpoint.me().address.clone(),
        name: None,
        id: None,
    };
    let mut line = Line::new(from.transport.local(), target);
    let question = Question {
        method,
        path,
        body: Bytes::from(body.to_owned()),
        patience: PATIENCE,
    };
    let answer = line.ask(&question).await.unwrap();
    let body = serde_json::from_slice(&answer.body).unwrap();
    (answer.status.as_u16(), body)
}

#[tokio::test]
async fn members_are_shown_and_removed_as_before() {
    let (_, [a, b]) = pair([Trust::Nobody, Trust::Nobody]);
    let (status, shown) = ask(&a, &b, (http::Method::GET, routes::STATUS), "").await;
    assert_eq!(status, 200);
    let expected = serde_json::json!({
        "node_id": "a", "role": "Follower", "term": 4, "leader_id": null, "commit_index": 9,
        "last_applied": 8, "log_length": 7, "peers": ["b"],
        "peer_addrs": {"b": b.endpoint.me().address.to_string()},
        "learners": [], "is_learner": false,
        "cluster_id": "01".repeat(16), "raft_id": a.endpoint.me().id.to_string(),
    });
    assert_eq!(shown, expected);
    let leave = (http::Method::POST, routes::LEAVE);
    let (status, told) = ask(&a, &b, leave.clone(), r#"{"node_id":"x"}"#).await;
    assert_eq!(status, 404);
    assert!(told["error"].as_str().unwrap().contains("no member"));
    let (status, told) = ask(&a, &b, leave, r#"{"node_id":"b"}"#).await;
    assert_eq!((status, told), (200, serde_json::json!({"ok": true})));
    let asked = a.control.0.lock().unwrap().clone();
    assert_eq!(asked, [MemberChange::Remove(b.endpoint.me().id)]);
}
