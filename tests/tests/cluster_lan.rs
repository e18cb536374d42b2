//! Nodes whose packets vanish: each has a network namespace of its own, on one bridge.

#![allow(clippy::print_stderr, reason = "a test says that it was skipped")]

use std::slice;
use std::time::{Duration, Instant};

use e2e::cluster::lan::{Lan, Room, on_a_lan};
use e2e::cluster::traffic::{Traffic, WORK, under_load};
use e2e::cluster::{Cluster, Setup};
use e2e::processes;

/// How long a cable is out at least: by then what was sent again is sent again in seconds only.
const PULLED: Duration = Duration::from_secs(4);

fn on_wires(happens: impl FnOnce(&mut Cluster, &Traffic) + Send) {
    let with = |lan: Lan| {
        let setup = Setup {
            lan: Some(lan),
            ..Setup::default()
        };
        under_load(&setup, happens);
    };
    if let Err(error) = on_a_lan(with) {
        eprintln!("skipped: {error}");
    }
}

#[test]
fn the_cable_of_the_leader_is_pulled_and_put_in_again() {
    on_wires(|cluster, traffic| {
        let leader = cluster.leader();
        let others = cluster.others(&leader);
        let wire = cluster.node(&leader).room();
        let sent_again = || {
            let each = others.iter().map(|name| cluster.node(name).room());
            each.map(Room::sent_again).sum::<u64>()
        };
        let before = sent_again();
        wire.pull();
        let begin = Instant::now();
        assert_ne!(cluster.leader_of(&others), leader);
        traffic.await_work(&others, WORK);
        // It hears nobody, so that it acknowledges nothing.
        traffic.await_refusals(slice::from_ref(&leader), 1);
        processes::within(PULLED.saturating_sub(begin.elapsed()), || false);
        assert!(sent_again() > before, "nothing has happened");
        wire.plug();
        traffic.await_work(slice::from_ref(&leader), WORK);
    });
}

#[test]
fn what_one_sends_vanishes_and_what_the_others_send_arrives() {
    on_wires(|cluster, traffic| {
        // Nobody hears the leader, though it hears all.
        let leader = cluster.leader();
        let others = cluster.others(&leader);
        let wire = cluster.node(&leader).room();
        for name in &others {
            cluster.node(name).room().ignore(wire);
        }
        assert_ne!(cluster.leader_of(&others), leader);
        traffic.await_work(&others, WORK);
        for name in &others {
            let room = cluster.node(name).room();
            assert!(room.ignored() > 0, "{name} has heard {leader}");
            room.heed(wire);
        }
        traffic.await_work(slice::from_ref(&leader), WORK);

        // The leader hears nobody, though all hear it.
        let leader = cluster.leader();
        let others = cluster.others(&leader);
        let wire = cluster.node(&leader).room();
        for name in &others {
            wire.ignore(cluster.node(name).room());
        }
        assert_ne!(cluster.leader_of(&others), leader);
        traffic.await_work(&others, WORK);
        assert!(wire.ignored() > 0, "{leader} has heard the others");
        for name in &others {
            wire.heed(cluster.node(name).room());
        }
        traffic.await_work(slice::from_ref(&leader), WORK);
    });
}
