//! What becomes of a node whose disk is full, and of a process whose node's thread panics.

use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Command as Process, Stdio};
use std::time::Duration;

use super::world::{World, times};
use super::{adopt, value};
use crate::cluster::handle::{Node, NodeOptions};
use crate::cluster::{Inbox, Outbox, Standing};
use crate::raft::command::{Command, Outcome, Retag, TagChange};
use crate::raft::core::TurnedAway;
use crate::raft::ids::RaftId;
use crate::raft::packet::Packet;
use crate::raft::state::Members;

/// More than a disk with little room takes.
fn large(value: &str) -> Command {
    Command::Retag(Box::new(Retag {
        tenant: "t".to_owned(),
        heap: [1; 32],
        change: TagChange::Replace(vec![
            ("v".to_owned(), value.to_owned()),
            ("large".to_owned(), "x".repeat(1 << 20)),
        ]),
        at_us: 2,
    }))
}

/// Whether a node waits for room at some time from now on.
fn waits(world: &World, at: usize) -> tokio::task::JoinHandle<bool> {
    let mut status = world.handle(at).watch();
    world.runtime.spawn(async move {
        let is_full = status.wait_for(|now| now.standing == Standing::DiskFull);
        is_full.await.is_ok()
    })
}

#[test]
fn a_node_whose_disk_is_full_waits_for_room_and_does_what_it_was_asked_once() {
    let mut world = World::new(1, 1000);
    world.propose(0, &adopt(1));
    world.kill(0);
    world.restart_with_little_room(0);
    let full = waits(&world, 0);
    let figures = world.handle(0).figures().node.clone();
    // It is asked for by the same name until that is certain.
    assert_eq!(world.propose(0, &large("1")), Outcome::Done);
    assert!(world.wait(full).unwrap());
    assert_eq!(value(&world, 0, 1), Some("1".to_owned()));
    world.until(0, |now| now.standing == Standing::Works);
    assert_eq!(figures.disk_full.get(), 0);
    world.propose(0, &large("2"));
    world.kill(0);
    world.restart(0);
    world.barrier(0);
    assert_eq!(value(&world, 0, 1), Some("2".to_owned()));
}

#[test]
fn a_cluster_goes_on_without_a_node_whose_disk_is_full_until_that_has_room() {
    let mut world = World::new(3, 1000);
    let leader = world.leader();
    world.propose(leader, &adopt(1));
    for round in 0..2 {
        // A leader, and one that follows.
        let leader = world.leader();
        let at = (leader + round) % 3;
        let other = (at + 1) % 3;
        world.kill(at);
        world.restart_with_little_room(at);
        let full = waits(&world, at);
        for written in 0..3 {
            let value = format!("{round}.{written}");
            assert_eq!(world.propose(other, &large(&value)), Outcome::Done);
        }
        assert!(world.wait(full).unwrap(), "round {round}");
        world.until(at, |now| now.standing == Standing::Works);
        world.agree();
        world.barrier(at);
        assert_eq!(value(&world, at, 1), Some(format!("{round}.2")));
    }
}

/// Says nothing, and fails at the first word.
struct Panics;

impl Outbox for Panics {
    fn send(&mut self, _: Packet) {}

    fn send_snapshot(&mut self, _: Packet, _: PathBuf) {}

    fn members(&mut self, _: &Members) {
        panic!("a fault in the thread of the node");
    }

    fn turn_away(&mut self, _: RaftId, _: TurnedAway) {}
}

/// Set for the process that has such a node.
const IS_CHILD: &str = "MCP_V8_TEST_PANICS";

#[test]
fn a_process_whose_node_has_panicked_says_no_word_more() {
    if std::env::var_os(IS_CHILD).is_some() {
        be_a_node_that_panics();
        return;
    }
    let own = std::env::current_exe().unwrap();
    let name = "cluster::tests::fate::a_process_whose_node_has_panicked_says_no_word_more";
    let ended = Process::new(own)
        .args(["--exact", name, "--nocapture"])
        .env(IS_CHILD, "1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(said.contains("a fault in the thread of the node"), "{said}");
    assert_eq!(ended.status.signal(), Some(6), "{said}");
}

fn be_a_node_that_panics() {
    let mut world = World::new(1, 1000);
    world.kill(0);
    let (_store, files) = world.open(0);
    let options = NodeOptions::new(world.slots[0].me, times());
    let node = Node::start(files, options, Inbox::new(), Panics);
    std::thread::sleep(Duration::from_secs(60));
    drop(node);
}
