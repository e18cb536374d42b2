//! What a node says where another one, or all others, give no answer.

use std::fs;
use std::thread;
use std::time::Duration;

use e2e::cluster::proxy::Fault;
use e2e::cluster::{Cluster, Setup};
use e2e::http::{Answer, Client};
use e2e::processes;
use e2e::server::PATIENCE;
use serde_json::{Value, json};

/// How an execution stands, by what this node itself knows.
fn status_at(client: &Client, id: &str) -> Value {
    let path = format!("/api/executions/{id}?consistency=local");
    client.get(&path).json()["status"].clone()
}

/// A follower that is asked, the one that runs what it is asked about, and who leads.
fn roles(cluster: &Cluster) -> [String; 3] {
    let leader = cluster.leader();
    let [asked, owner] = cluster.others(&leader).try_into().unwrap();
    [asked, owner, leader]
}

/// Has `asked` cancel what `owner` runs, and hear no answer to that: what it tells its client, once the
/// execution is cancelled by the word of its owner.
fn cancel_unanswered(cluster: &Cluster, (asked, owner): (&str, &str), id: &str) -> Answer {
    let client = cluster.node(asked).client(PATIENCE);
    // There is a connection that carries the question.
    assert_eq!(client.get(&format!("/api/executions/{id}")).status, 200);
    cluster.network.break_link(asked, owner, Fault::HalfOpen);
    let cancelling = {
        let path = format!("/api/executions/{id}/cancel");
        thread::spawn(move || client.bare("POST", &path))
    };
    let at_owner = cluster.client(owner);
    let is_done = || status_at(&at_owner, id) == "cancelled";
    assert!(processes::within(PATIENCE, is_done));
    // Nobody waits for an answer that is lost for good.
    cluster.network.break_link(asked, owner, Fault::Reset);
    cancelling.join().unwrap()
}

#[test]
fn a_cancel_whose_answer_is_lost_is_told_by_the_log() {
    let cluster = Cluster::start(&Setup::default());
    let [asked, owner, _] = roles(&cluster);
    let id = cluster.client(&owner).submit("for (;;) {}");
    let told = cancel_unanswered(&cluster, (&asked, &owner), &id);
    assert_eq!((told.status, told.json()), (200, json!({"ok": true})));
    cluster.network.heal();
    // Whoever did not get that either asks again, anywhere, and hears how it has ended.
    for name in cluster.names() {
        let path = format!("/api/executions/{id}/cancel");
        let again = cluster.client(&name).bare("POST", &path);
        assert_eq!(
            (again.status, again.error_code().as_str()),
            (409, "not_running"),
            "{name}"
        );
        assert!(again.body.contains("status: cancelled"), "{again:?}");
    }
    cluster.finish();
}

#[test]
fn a_cancel_of_which_nothing_is_known_says_so_and_can_be_asked_for_again() {
    let cluster = Cluster::start(&Setup::default());
    let [asked, owner, leader] = roles(&cluster);
    let id = cluster.client(&owner).submit("for (;;) {}");
    let other = cluster.client(&owner).submit("for (;;) {}");
    // The log cannot be asked either.
    let client = cluster.node(&asked).client(PATIENCE);
    assert_eq!(client.get(&format!("/api/executions/{id}")).status, 200);
    cluster.network.part(&[&asked], &[&leader], Fault::Silent);
    let told = cancel_unanswered(&cluster, (&asked, &owner), &id);
    assert_eq!(
        (told.status, told.error_code().as_str()),
        (503, "node_unreachable")
    );
    assert!(told.body.contains("cancel it again"), "{told:?}");
    cluster.network.heal();
    cluster.await_ready();
    let cancel = |id: &str| client.bare("POST", &format!("/api/executions/{id}/cancel"));
    let again = cancel(&id);
    assert_eq!(
        (again.status, again.error_code().as_str()),
        (409, "not_running")
    );
    assert!(again.body.contains("status: cancelled"), "{again:?}");
    assert_eq!(cancel(&other).status, 200);
    cluster.finish();
}

#[test]
fn a_node_that_is_cut_off_shows_what_it_ran_only_to_those_who_take_the_past() {
    let cluster = Cluster::start(&Setup::default());
    let cut = cluster.follower();
    let others = cluster.others(&cut);
    let client = cluster.node(&cut).client(PATIENCE);
    let done = client.run("console.log('said'); 41 + 1");
    let done = done["execution_id"].as_str().unwrap().to_owned();
    let endless = client.submit("console.log('said'); for (;;) {}");
    let runs = || status_at(&client, &endless) == "running";
    assert!(processes::within(PATIENCE, runs));
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    cluster.network.part(&[&cut], &others, Fault::Silent);
    let is_unready = || client.get("/readyz").status == 503;
    assert!(processes::within(PATIENCE, is_unready));
    for look in [
        "/api/executions?limit=9".to_owned(),
        "/api/sessions?limit=9".to_owned(),
        format!("/api/executions/{endless}?wait_ms=0"),
        format!("/api/executions/{endless}?wait_ms=100"),
    ] {
        let told = client.get(&look);
        assert_eq!(
            (told.status, told.error_code().as_str()),
            (503, "cluster_unavailable"),
            "{look}: {told:?}"
        );
        let told = client.get(&format!("{look}&consistency=local"));
        assert_eq!(told.status, 200, "{look}: {told:?}");
    }
    let bare = client.get(&format!("/api/executions/{endless}"));
    assert_eq!(
        (bare.status, bare.error_code().as_str()),
        (503, "cluster_unavailable")
    );
    // An end is final, and no other node can tell more of it.
    let ended = client.get(&format!("/api/executions/{done}")).json();
    assert_eq!(ended["status"], "completed", "{ended}");
    cluster.network.heal();
    cluster.await_ready();
    let seen = client.get(&format!("/api/executions/{done}")).json();
    assert_eq!(seen["result"], "42", "{seen}");
    cluster.finish();
}

/// The lines of a node's audit log about changes of tags.
fn changes_noted(path: &std::path::Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines
        .filter(|line: &Value| line["event"] == "tags_changed")
        .collect()
}

#[test]
fn a_change_of_tags_of_which_nothing_is_known_is_noted() {
    // Each node runs in a directory of its own, where this leads to.
    let arguments = ["--audit-log", "audit.log"].map(str::to_owned).to_vec();
    let cluster = Cluster::start(&Setup {
        arguments,
        ..Setup::default()
    });
    let leader = cluster.leader();
    let others = cluster.others(&leader);
    let client = cluster.node(&leader).client(Duration::from_secs(60));
    let heap = client.run("globalThis.n = 1")["heap"].clone();
    let tags = format!("/api/heaps/{}/tags", heap.as_str().unwrap());
    let set = client.send("PUT", &tags, &json!({"tags": {"k": "1"}}));
    assert_eq!(set.status, 200, "{set:?}");
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    cluster.network.part(&[&leader], &others, Fault::Silent);
    let set = client.send("PUT", &tags, &json!({"tags": {"k": "2"}}));
    assert_eq!((set.status, set.error_code().as_str()), (503, "undecided"));
    let log = cluster.node(&leader).home.path("audit.log");
    let is_noted = || changes_noted(&log).len() == 2;
    assert!(processes::within(PATIENCE, is_noted));
    let noted = changes_noted(&log);
    assert_eq!(noted[0].get("outcome"), None);
    assert_eq!(
        (&noted[1]["outcome"], &noted[1]["heap"]),
        (&json!("unknown"), &heap)
    );
    cluster.network.heal();
    cluster.await_ready();
    cluster.finish();
}

#[test]
fn who_waits_for_a_run_of_a_node_that_is_cut_off_hears_that_it_was_accepted() {
    let cluster = Cluster::start(&Setup::default());
    let cut = cluster.follower();
    let others = cluster.others(&cut);
    let client = cluster.node(&cut).client(PATIENCE);
    let waiting = {
        let client = client.clone();
        thread::spawn(move || {
            let body = json!({"code": "for (;;) {}", "wait_ms": 8000});
            client.send("POST", "/api/exec", &body)
        })
    };
    let running = || {
        client
            .get("/api/executions?limit=1&consistency=local")
            .json()
    };
    let runs = || running()["executions"][0]["status"] == "running";
    assert!(processes::within(PATIENCE, runs));
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    cluster.network.part(&[&cut], &others, Fault::Silent);
    let told = waiting.join().unwrap();
    // It is under way: that nothing was done would be a lie.
    assert_eq!(told.status, 202, "{told:?}");
    assert_eq!(told.json()["status"], "running", "{told:?}");
    cluster.network.heal();
    cluster.finish();
}
