//! Nodes that do not hear each other, or stand still, while clients use all of them.

use std::time::{Duration, Instant};

use e2e::cluster::proxy::Fault;
use e2e::cluster::traffic::{Traffic, WORK, under_load};
use e2e::cluster::{Cluster, Setup};
use e2e::processes;
use e2e::server::PATIENCE;
use nix::sys::signal::Signal;
use serde_json::json;

/// How long a leader stands still: longer than anybody waits for one.
const STANDSTILL: Duration = Duration::from_secs(3);

/// How often the links of a node fail and heal again, and how long they are one or the other.
const FLAPS: u64 = 12;
const FLAP: Duration = Duration::from_millis(150);
/// What is late on the way to one slow node, and from it.
const LATE: Duration = Duration::from_millis(200);

fn words(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

#[test]
fn the_leader_stands_still_for_three_seconds() {
    under_load(&Setup::default(), |cluster, traffic| {
        let leader = cluster.leader();
        let others = cluster.others(&leader);
        cluster.node(&leader).signal(Signal::SIGSTOP);
        let begin = Instant::now();
        // It still leads, for all that it knows, when it goes on: whoever asks it must not get the past.
        assert_ne!(cluster.leader_of(&others), leader);
        traffic.await_work(&others, WORK);
        processes::within(STANDSTILL.saturating_sub(begin.elapsed()), || false);
        cluster.node(&leader).signal(Signal::SIGCONT);
        traffic.await_work(&[leader], WORK);
    });
}

fn the_leader_is_cut_off(fault: Fault) {
    under_load(&Setup::default(), |cluster, traffic| {
        let leader = cluster.leader();
        let others = cluster.others(&leader);
        cluster.network.part(&[&leader], &words(&others), fault);
        assert_ne!(cluster.leader_of(&others), leader);
        traffic.await_work(&others, WORK);
        // Nobody but itself hears it, so that it acknowledges nothing.
        traffic.await_refusals(std::slice::from_ref(&leader), 1);
        assert!(cluster.network.struck(&leader) > 0);
        cluster.network.heal();
    });
}

#[test]
fn nothing_passes_between_the_leader_and_the_others() {
    the_leader_is_cut_off(Fault::Silent);
}

#[test]
fn all_connections_of_the_leader_are_reset() {
    the_leader_is_cut_off(Fault::Reset);
}

#[test]
fn nobody_hears_the_leader_though_it_hears_all() {
    under_load(&Setup::default(), |cluster, traffic| {
        let leader = cluster.leader();
        let others = cluster.others(&leader);
        for other in &others {
            cluster.network.break_link(&leader, other, Fault::Silent);
        }
        assert_ne!(cluster.leader_of(&others), leader);
        traffic.await_work(&others, WORK);
        assert!(cluster.network.struck(&leader) > 0);
        cluster.network.heal();
    });
}

#[test]
fn one_link_carries_questions_and_no_answers() {
    under_load(&Setup::default(), |cluster, traffic| {
        let (leader, follower) = (cluster.leader(), cluster.follower());
        cluster
            .network
            .break_link(&leader, &follower, Fault::HalfOpen);
        let well = |name: &String| *name != follower;
        let others: Vec<String> = cluster.names().into_iter().filter(well).collect();
        traffic.await_work(&others, WORK);
        assert!(cluster.network.struck(&follower) > 0);
        cluster.network.heal();
    });
}

#[test]
fn all_links_are_slow() {
    let late = Duration::from_millis(40);
    under_load(&Setup::default(), |cluster, traffic| {
        let names = cluster.names();
        cluster
            .network
            .part(&words(&names), &words(&names), Fault::Slow(late));
        traffic.await_work(&names, WORK);
        assert!(cluster.network.struck("a") > 0);
        cluster.network.heal();
    });
}

/// Has something happen to one that does not lead, which is no reason for another leader.
fn a_follower_has_trouble(happens: impl FnOnce(&mut Cluster, &Traffic, &str)) {
    under_load(&Setup::default(), |cluster, traffic| {
        let follower = cluster.follower();
        let leader = cluster.leader();
        let term = cluster.term(&leader);
        happens(cluster, traffic, &follower);
        cluster.await_ready();
        let now = (cluster.term(&leader), cluster.leader());
        // Where others compute, a leader may come too late for another reason.
        assert!(
            now == (term, leader.clone()) || processes::is_machine_busy(),
            "{leader} had led in term {term}, and now it is {now:?}"
        );
    });
}

#[test]
fn links_of_a_follower_flap_and_then_the_leader_hears_it_by_nobody_but_the_third() {
    a_follower_has_trouble(|cluster, traffic, follower| {
        let others = cluster.others(follower);
        let faults = [Fault::Silent, Fault::Reset, Fault::HalfOpen];
        for (_, fault) in (0..FLAPS).zip(faults.into_iter().cycle()) {
            cluster.network.part(&[follower], &words(&others), fault);
            processes::within(FLAP, || false);
            cluster.network.heal();
            processes::within(FLAP, || false);
        }
        let struck = cluster.network.struck(follower);
        assert!(struck >= FLAPS, "{struck} of {FLAPS}");
        traffic.await_work(&cluster.names(), WORK);

        // The third one hears both. It knows a leader, so that it votes for nobody.
        let leader = cluster.leader();
        cluster
            .network
            .part(&[follower], &[leader.as_str()], Fault::Silent);
        traffic.await_refusals(&[follower.to_owned()], 1);
        traffic.await_work(&others, WORK);
        assert!(cluster.network.struck(follower) > struck);
        cluster.network.heal();
        traffic.await_work(&cluster.names(), WORK);
    });
}

#[test]
fn a_follower_is_slow_and_then_it_stands_still() {
    a_follower_has_trouble(|cluster, traffic, follower| {
        let others = cluster.others(follower);
        cluster
            .network
            .part(&[follower], &words(&others), Fault::Slow(LATE));
        traffic.await_work(&cluster.names(), WORK);
        assert!(cluster.network.struck(follower) > 0);
        cluster.network.heal();

        let begin = Instant::now();
        cluster.node(follower).signal(Signal::SIGSTOP);
        traffic.await_work(&others, WORK);
        processes::within(STANDSTILL.saturating_sub(begin.elapsed()), || false);
        cluster.node(follower).signal(Signal::SIGCONT);
        traffic.await_work(&cluster.names(), WORK);
    });
}

#[test]
fn each_of_five_hears_two_neighbours_alone() {
    let setup = Setup {
        nodes: 5,
        ..Setup::default()
    };
    under_load(&setup, |cluster, traffic| {
        let names = cluster.names();
        for (at, one) in names.iter().enumerate() {
            for next in [2, 3] {
                let other = &names[(at + next) % names.len()];
                cluster.network.break_link(one, other, Fault::Silent);
            }
        }
        // Each sees a majority, and no two see the same one. Whoever leads has its neighbours follow.
        let since = traffic.history.now();
        let works = || traffic.history.first_change(since).is_some();
        assert!(processes::within(PATIENCE, works), "nobody works");
        let is_struck = || names.iter().any(|name| cluster.network.struck(name) > 0);
        assert!(
            processes::within(PATIENCE, is_struck),
            "nothing has happened"
        );
        cluster.network.heal();
    });
}

#[test]
fn a_node_without_the_others_says_so_and_takes_nothing() {
    let mut cluster = Cluster::start(&Setup::default());
    let heap = cluster.client("a").run("globalThis.n = 1")["heap"].clone();
    let tags = format!("/api/heaps/{}/tags", heap.as_str().unwrap());
    for name in ["b", "c"] {
        cluster.node_mut(name).kill();
    }
    let client = cluster.client("a");
    let mut seen = None;
    let is_unready = processes::within(PATIENCE, || {
        seen = Some(client.get("/readyz"));
        seen.as_ref().is_some_and(|answer| answer.status == 503)
    });
    let seen = seen.unwrap();
    assert!(is_unready, "{seen:?}");
    assert_eq!(seen.json()["checks"]["cluster"], "failing", "{seen:?}");
    assert_eq!(
        client.get("/healthz").status,
        200,
        "nothing helps but the others"
    );
    let set = client.send("PUT", &tags, &json!({"tags": {"k": "v"}}));
    // Nobody can tell of a change that was asked for while an election might still have had an end.
    let code = set.error_code();
    assert!(["cluster_unavailable", "undecided"].contains(&code.as_str()));
    assert_eq!(set.status, 503, "{code}");
    let read = client.get(&tags);
    assert_eq!(
        (read.status, read.error_code()),
        (503, "cluster_unavailable".to_owned())
    );
    // Whoever says that the past will do gets it.
    let stale = client.get(&format!("{tags}?consistency=local"));
    assert_eq!(
        (stale.status, &stale.json()["tags"]),
        (200, &json!({})),
        "{stale:?}"
    );
    cluster.node_mut("b").start();
    cluster.await_ready();
    let set = client.send("PUT", &tags, &json!({"tags": {"k": "w"}}));
    assert_eq!(set.status, 200, "{set:?}");
    assert_eq!(
        cluster.client("b").get(&tags).json()["tags"],
        json!({"k": "w"})
    );
    cluster.finish();
}
