//! Nodes whose wall clocks are set, while clients use all of them.

use std::slice;

use e2e::cluster::traffic::{WORK, under_load};
use e2e::cluster::trust::Mode;
use e2e::cluster::{Clocks, Cluster, Setup};
use jiff::{SignedDuration, Timestamp};

const HOUR_SECS: i64 = 3600;
/// More than the clocks of nodes that have a secret may be apart.
const APART_SECS: i64 = 60;

fn setup(mode: Mode) -> Setup {
    Setup {
        mode,
        clocks: Clocks::Own,
        ..Setup::default()
    }
}

/// How many seconds the wall clock of a node is ahead of the machine's, as a run shows.
fn ahead(cluster: &Cluster, name: &str) -> i64 {
    let ran = cluster.client(name).run("1");
    let started = ran["started_at"].as_str().and_then(|at| at.parse().ok());
    let started: Timestamp = started.unwrap_or_else(|| panic!("{ran}"));
    started.duration_since(Timestamp::now()).as_secs()
}

fn assert_ahead(cluster: &Cluster, name: &str, expected: i64) {
    let ahead = ahead(cluster, name);
    let off = SignedDuration::from_secs(ahead - expected).abs();
    assert!(off < SignedDuration::from_mins(1), "{name}: {ahead}");
}

#[test]
fn clocks_of_nodes_are_set_forth_and_back_by_hours() {
    under_load(&setup(Mode::Certificates), |cluster, traffic| {
        let (leader, follower) = (cluster.leader(), cluster.follower());
        for (at_leader, at_follower) in [(HOUR_SECS, -HOUR_SECS), (-HOUR_SECS, HOUR_SECS)] {
            cluster.node(&leader).set_clock(at_leader);
            cluster.node(&follower).set_clock(at_follower);
            traffic.await_work(&cluster.names(), WORK);
            assert_ahead(cluster, &leader, at_leader);
            assert_ahead(cluster, &follower, at_follower);
        }
        // Whoever leads next is hours away from whoever led.
        cluster.node_mut(&leader).kill();
        traffic.await_work(&cluster.others(&leader), WORK);
        cluster.node_mut(&leader).start();
        cluster.await_ready();
        traffic.await_work(&cluster.names(), WORK);
        for name in cluster.names() {
            cluster.node(&name).set_clock(0);
        }
    });
}

#[test]
fn a_node_whose_clock_shows_another_minute_is_not_heard_where_all_have_a_secret() {
    under_load(&setup(Mode::Secret), |cluster, traffic| {
        let leader = cluster.leader();
        let others = cluster.others(&leader);
        for ahead in [APART_SECS, -APART_SECS] {
            cluster.node(&leader).set_clock(ahead);
            traffic.await_work(&others, WORK);
            traffic.await_refusals(slice::from_ref(&leader), 1);
            cluster.node(&leader).set_clock(0);
            cluster.await_ready();
            traffic.await_work(&cluster.names(), WORK);
        }
    });
}
