//! Nodes that are killed, without a warning, while clients use them: nothing that was acknowledged is
//! lost or comes twice, and nobody reads the past.

use e2e::cluster::traffic::{WORK, under_load};
use e2e::cluster::{Cluster, Setup};
use e2e::processes;
use e2e::server::PATIENCE;
use serde_json::{Value, json};

#[test]
fn a_follower_is_killed() {
    under_load(&Setup::default(), |cluster, traffic| {
        let victim = cluster.follower();
        cluster.node_mut(&victim).kill();
        traffic.await_work(&cluster.others(&victim), WORK);
        cluster.node_mut(&victim).start();
    });
}

#[test]
fn the_leader_is_killed() {
    let tally = under_load(&Setup::default(), |cluster, traffic| {
        let victim = cluster.leader();
        cluster.node_mut(&victim).kill();
        let others = cluster.others(&victim);
        assert_ne!(cluster.leader_of(&others), victim);
        traffic.await_work(&others, WORK);
        cluster.node_mut(&victim).start();
    });
    assert!(tally.acknowledged > 6 * WORK, "{tally:?}");
}

#[test]
fn all_are_killed_at_once() {
    under_load(&Setup::default(), |cluster, _| {
        for name in cluster.names() {
            cluster.node_mut(&name).kill();
        }
        for name in cluster.names() {
            cluster.node_mut(&name).start();
        }
    });
}

#[test]
fn one_after_the_other_is_killed_and_comes_back() {
    under_load(&Setup::default(), |cluster, traffic| {
        for name in cluster.names() {
            cluster.node_mut(&name).kill();
            traffic.await_work(&cluster.others(&name), 1);
            cluster.node_mut(&name).start();
            cluster.await_ready();
        }
    });
}

#[test]
fn what_a_killed_node_ran_ends_as_failed_everywhere() {
    let mut cluster = Cluster::start(&Setup::default());
    let victim = cluster.follower();
    let others = cluster.others(&victim);
    let code = "await new Promise((done) => setTimeout(done, 100000))";
    let id = cluster.client(&victim).submit(code);
    let path = format!("/api/executions/{id}");
    let status = |cluster: &Cluster, name: &str, query: &str| -> Value {
        let answer = cluster.client(name).try_get(&format!("{path}{query}"));
        answer.map_or(Value::Null, |answer| answer.json())
    };
    // Once it has run for a while all know of it, without asking its node.
    for name in &others {
        let is_known = || {
            let listed = cluster
                .client(name)
                .get("/api/executions?consistency=local");
            listed.json()["executions"][0]["execution_id"] == json!(id)
        };
        assert!(processes::within(PATIENCE, is_known), "{name}");
    }
    cluster.node_mut(&victim).kill();
    for name in &others {
        let has_failed = || status(&cluster, name, "")["status"] == "failed";
        assert!(
            processes::within(PATIENCE, has_failed),
            "{}",
            status(&cluster, name, "")
        );
        let error = status(&cluster, name, "")["error"].clone();
        assert!(error.to_string().contains("node"), "{error}");
    }
    cluster.node_mut(&victim).start();
    cluster.await_ready();
    let seen = status(&cluster, &victim, "");
    assert_eq!(seen["status"], json!("failed"), "{seen}");
    // It can be asked for again, and is another execution.
    let ran = cluster.client(&victim).run("1 + 1");
    assert_eq!(ran["result"], "2", "{ran}");
    cluster.finish();
}
