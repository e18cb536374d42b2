//! Nodes that come, go and come back, while clients use the cluster.

use std::collections::BTreeSet;
use std::time::Duration;

use e2e::cluster::traffic::{Crowd, Traffic, WORK, under_load};
use e2e::cluster::{Cluster, Setup};
use e2e::processes;
use e2e::server::PATIENCE;
use serde_json::{Value, json};

/// The voters beside itself that a node knows.
fn peers(cluster: &Cluster, name: &str) -> BTreeSet<String> {
    let status = cluster.status(name).unwrap_or_default();
    names_in(&status["peers"])
}

fn names_in(list: &Value) -> BTreeSet<String> {
    let names = list.as_array().into_iter().flatten();
    names
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect()
}

fn await_peers(cluster: &Cluster, name: &str, expected: &[&str]) {
    let expected: BTreeSet<String> = expected.iter().map(|&name| name.to_owned()).collect();
    let came = processes::within(PATIENCE, || peers(cluster, name) == expected);
    assert!(
        came,
        "{name} knows {:?}, not {expected:?}",
        cluster.status(name)
    );
}

#[test]
fn a_node_joins_and_has_all() {
    under_load(&Setup::default(), |cluster, traffic| {
        cluster.join("d", "b", &[]);
        cluster.await_ready();
        await_peers(cluster, "a", &["b", "c", "d"]);
        await_peers(cluster, "d", &["a", "b", "c"]);
        cluster.await_vote("d");
        // It counts: without it and another one nothing is decided, without two others neither.
        traffic.learn(cluster);
        traffic.await_work(&["d".to_owned()], WORK);
        cluster.node_mut("a").kill();
        traffic.await_work(&["d".to_owned()], WORK);
        cluster.node_mut("a").start();
    });
}

#[test]
fn three_join_at_once() {
    under_load(&Setup::default(), |cluster, traffic| {
        let first = cluster.names();
        let new = ["d", "e", "f"];
        for (name, seed) in new.iter().zip(&first) {
            cluster.join(name, seed, &[]);
        }
        cluster.await_ready();
        for name in new {
            cluster.await_vote(name);
        }
        for name in cluster.names() {
            let others = cluster.others(&name);
            let others: Vec<&str> = others.iter().map(String::as_str).collect();
            await_peers(cluster, &name, &others);
        }
        traffic.learn(cluster);
        traffic.await_work(&cluster.names(), WORK);
        // Four of six are enough, and two of them are new.
        for name in &first[..2] {
            cluster.node_mut(name).kill();
        }
        let left: Vec<String> = cluster.names().into_iter().skip(2).collect();
        cluster.leader_of(&left);
        traffic.await_work(&left, 1);
        for name in &first[..2] {
            cluster.node_mut(name).start();
        }
    });
}

#[test]
fn a_learner_has_all_and_no_vote() {
    under_load(&Setup::default(), |cluster, traffic| {
        cluster.join("d", "a", &["--join-as-learner"]);
        cluster.await_ready();
        let status = cluster.status("d").unwrap();
        assert_eq!(status["is_learner"], true, "{status}");
        assert_eq!(
            names_in(&cluster.status("a").unwrap()["learners"]),
            ["d".to_owned()].into()
        );
        traffic.learn(cluster);
        traffic.await_work(&["d".to_owned()], WORK);
        // Two of three voters are enough, and they are needed.
        let victim = cluster.follower();
        let victim = if victim == "d" {
            "c".to_owned()
        } else {
            victim
        };
        cluster.node_mut(&victim).kill();
        traffic.await_work(&["d".to_owned()], WORK);
        cluster.node_mut(&victim).start();
    });
}

#[test]
fn the_leader_leaves() {
    under_load(&Setup::default(), |cluster, traffic| {
        let leader = cluster.leader();
        let others = cluster.others(&leader);
        let (status, answer) = cluster.leave(&leader, &leader);
        // Whoever goes may be gone before it can answer: the others know.
        assert!(
            status == 200 || status == 410 || status == 503,
            "{status} {answer}"
        );
        await_peers(cluster, &others[0], &[others[1].as_str()]);
        let ends = || cluster.node_mut(&leader).has_ended();
        assert!(
            processes::within(PATIENCE, ends),
            "a node that was removed stops"
        );
        cluster.forget(&leader);
        traffic.learn(cluster);
        traffic.await_work(&others, WORK);
    });
}

#[test]
fn a_dead_voter_is_replaced() {
    under_load(&Setup::default(), |cluster, traffic| {
        let dead = cluster.follower();
        let others = cluster.others(&dead);
        cluster.node_mut(&dead).kill();
        let (status, answer) = cluster.leave(&others[0], &dead);
        assert_eq!(status, 200, "{answer}");
        cluster.forget(&dead);
        cluster.join("d", &others[1], &[]);
        traffic.learn(cluster);
        cluster.await_ready();
        await_peers(cluster, "d", &[others[0].as_str(), others[1].as_str()]);
        cluster.await_vote("d");
    });
}

#[test]
fn a_node_that_lost_its_disk_comes_back_under_its_name() {
    under_load(&Setup::default(), |cluster, traffic| {
        let lost = cluster.follower();
        let others = cluster.others(&lost);
        let old = cluster.status(&lost).unwrap()["raft_id"].clone();
        cluster.node_mut(&lost).kill();
        cluster.node_mut(&lost).wipe();
        let (status, answer) = cluster.leave(&others[0], &lost);
        assert_eq!(status, 200, "{answer}");
        cluster.rejoin(&lost, &others[0], &[]);
        cluster.await_ready();
        assert_ne!(
            cluster.status(&lost).unwrap()["raft_id"],
            old,
            "it is another node"
        );
        traffic.await_work(&cluster.names(), WORK);
    });
}

#[test]
fn a_node_that_lost_its_disk_does_not_take_its_place_by_itself() {
    let mut cluster = Cluster::start(&Setup::default());
    let lost = cluster.follower();
    let others = cluster.others(&lost);
    cluster.node_mut(&lost).kill();
    cluster.node_mut(&lost).wipe();
    // With the same --peers as at first: it has forgotten what it promised, and must not vote.
    let before = cluster.node(&lost).log().len();
    cluster.node_mut(&lost).start();
    let is_refused = || {
        let node = cluster.node_mut(&lost);
        let has_asked = node.log()[before..].contains("coming to a cluster");
        has_asked || node.has_ended()
    };
    assert!(processes::within(PATIENCE, is_refused));
    let ran = cluster.client(&others[0]).run("1 + 1");
    assert_eq!(ran["result"], "2", "{ran}");
    let client = cluster.node(&lost).client(Duration::from_secs(1));
    let answer = client.try_get("/readyz");
    assert!(
        !answer.is_ok_and(|answer| answer.status == 200),
        "it was let in"
    );
    let (status, answer) = cluster.leave(&others[0], &lost);
    assert_eq!(status, 200, "{answer}");
    if cluster.node_mut(&lost).has_ended() {
        cluster.node_mut(&lost).await_end();
        cluster.rejoin(&lost, &others[0], &[]);
    }
    cluster.await_ready_one(&lost);
    cluster.finish();
}

#[test]
fn whoever_is_needed_cannot_be_removed() {
    let mut cluster = Cluster::start(&Setup::default());
    let dead = cluster.follower();
    let others = cluster.others(&dead);
    cluster.node_mut(&dead).kill();
    // Of two that live none can go: the one that is left would not be most of two. That one is dead is known
    // when it has been silent for a while.
    processes::within(Duration::from_secs(3), || false);
    let (status, answer) = cluster.leave(&others[0], &others[1]);
    assert!(status == 409 || status == 503, "{status} {answer}");
    assert_eq!(cluster.leave(&others[0], "nobody").0, 404);
    let ran = cluster.client(&others[1]).run("1 + 1");
    assert_eq!(ran["result"], "2", "{ran}");
    cluster.node_mut(&dead).start();
    cluster.await_ready();
    cluster.finish();
}

#[test]
fn all_are_started_again_one_by_one_and_no_write_fails() {
    let mut cluster = Cluster::start(&Setup::default());
    let traffic = Traffic::start(&cluster, Crowd::default());
    traffic.await_work(&cluster.names(), WORK);
    for name in cluster.names() {
        let status = cluster.node_mut(&name).end();
        assert!(status.success(), "{name} ended with {status}");
        traffic.await_work(&cluster.others(&name), WORK);
        cluster.node_mut(&name).start();
        cluster.await_ready();
    }
    traffic.await_work(&cluster.names(), WORK);
    let tally = traffic.finish(&cluster);
    // Whoever is refused asks again. That nobody knows what became of a change is what a client cannot mend.
    assert_eq!(tally.unknown, 0, "{tally:#?}");
    cluster.finish();
}

#[test]
fn one_goes_on_alone_when_the_others_are_lost_for_good() {
    let mut cluster = Cluster::start(&Setup::default());
    let made = cluster.client("b").run("globalThis.n = 1");
    let path = format!("/api/heaps/{}/tags", made["heap"].as_str().unwrap());
    let tags = json!({"tags": {"k": "v"}});
    assert_eq!(cluster.client("b").send("PUT", &path, &tags).status, 200);
    cluster.await_level();
    let old = cluster.status("a").unwrap()["cluster_id"].clone();
    for name in cluster.names() {
        cluster.node_mut(&name).kill();
    }
    cluster.node_mut("b").wipe();
    cluster.node_mut("c").wipe();
    cluster.start_with("a", &["--force-new-cluster"]);
    cluster.await_ready_one("a");
    let status = cluster.status("a").unwrap();
    assert_ne!(status["cluster_id"], old, "it is another cluster");
    assert_eq!(cluster.client("a").get(&path).json(), tags);
    for name in ["b", "c"] {
        cluster.rejoin(name, "a", &[]);
        cluster.await_ready_one(name);
        assert_eq!(cluster.client(name).get(&path).json(), tags);
    }
    await_peers(&cluster, "b", &["a", "c"]);
    cluster.await_vote("b");
    cluster.await_vote("c");
    // They are needed now, and enough.
    cluster.node_mut("a").kill();
    let set = json!({"tags": {"k": "w"}});
    let is_set = || cluster.client("c").send("PUT", &path, &set).status == 200;
    assert!(processes::within(PATIENCE, is_set));
    cluster.start_with("a", &[]);
    cluster.await_ready();
    assert_eq!(cluster.client("a").get(&path).json(), set);
    cluster.finish();
}
