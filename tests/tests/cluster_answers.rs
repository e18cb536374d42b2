//! Any node of a cluster answers anything that any of them was asked for, whichever ran it.

use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use e2e::cluster::balancer::Balancer;
use e2e::cluster::trust::Mode;
use e2e::cluster::{Cluster, Setup, place};
use e2e::http::Client;
use e2e::processes;
use e2e::server::{PATIENCE, id_of, is_final};
use serde_json::{Value, json};

/// Says five lines, a moment after each other.
const TALKS: &str = "for (let i = 0; i < 5; i++) { console.log('line', i); \
                     await new Promise((done) => setTimeout(done, 150)) } globalThis.kept = 41; kept + 1";

fn setup(mode: Mode) -> Setup {
    Setup {
        mode,
        ..Setup::default()
    }
}

/// The execution at its end, by this node's word.
fn wait(client: &Client, id: &str) -> Value {
    let mut seen = Value::Null;
    let has_ended = processes::within(PATIENCE, || {
        seen = client
            .get(&format!("/api/executions/{id}?wait_ms=10000"))
            .json();
        is_final(&seen)
    });
    assert!(has_ended, "{seen}");
    seen
}

/// What a stream of output says until its end.
fn stream(client: &Client, id: &str) -> String {
    let mut connection = client.connect();
    let host = client.address();
    let path = format!("/api/executions/{id}/output/stream");
    let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).unwrap();
    let mut text = Vec::new();
    connection.read_to_end(&mut text).unwrap();
    String::from_utf8(text).unwrap()
}

fn any_node_answers(mode: Mode) {
    let cluster = Cluster::start(&setup(mode));
    let [a, b, c] = ["a", "b", "c"].map(|name| cluster.client(name));
    let tags = json!({"made": "by a"});
    let body = json!({"code": TALKS, "session": "work", "tags": tags});
    let accepted = a.post("/api/exec", &body);
    assert_eq!(accepted.status, 202, "{accepted:?}");
    let id = id_of(&accepted.json());

    // While it runs.
    let follower = {
        let (c, id) = (c.clone(), id.clone());
        thread::spawn(move || stream(&c, &id))
    };
    let seen = b.get(&format!("/api/executions/{id}"));
    assert_eq!(seen.status, 200, "{seen:?}");
    let streamed = follower.join().unwrap();
    let seen = wait(&b, &id);
    assert_eq!(
        (&seen["status"], &seen["result"]),
        (&json!("completed"), &json!("42")),
        "{seen}"
    );
    for line in 0..5 {
        assert!(streamed.contains(&format!("line {line}")), "{streamed}");
    }

    // When it has ended.
    let heap = seen["heap"].as_str().unwrap().to_owned();
    for client in [&a, &b, &c] {
        let at = client.address();
        assert_eq!(wait(client, &id)["result"], "42", "{at}");
        let page = client.get(&format!("/api/executions/{id}/output")).json();
        assert_eq!(
            page["data"].as_str().unwrap().lines().count(),
            5,
            "{at}: {page}"
        );
        let source = client.get(&format!("/api/executions/{id}/source")).json();
        assert_eq!(source["code"], TALKS, "{at}: {source}");
        let listed = client.get("/api/executions").json();
        assert_eq!(
            listed["executions"][0]["execution_id"],
            json!(id),
            "{at}: {listed}"
        );
        let sessions = client.get("/api/sessions").json();
        assert_eq!(sessions["sessions"], json!(["work"]), "{at}");
        let entries = client.get("/api/sessions/work/snapshots").json();
        assert_eq!(
            entries["entries"][0]["output_heap"],
            json!(heap),
            "{at}: {entries}"
        );
        let found = client
            .post("/api/heaps/query", &json!({"tags": tags}))
            .json();
        assert_eq!(found["results"][0]["heap"], json!(heap), "{at}: {found}");
        assert_eq!(
            client.get(&format!("/api/heaps/{heap}/tags")).json()["tags"],
            tags,
            "{at}"
        );
    }
    let set = b.send(
        "PUT",
        &format!("/api/heaps/{heap}/tags"),
        &json!({"tags": {"by": "b"}}),
    );
    assert_eq!(set.status, 200, "{set:?}");
    assert_eq!(
        c.get(&format!("/api/heaps/{heap}/tags")).json()["tags"],
        json!({"by": "b"})
    );

    // On the heap that another node has made, and the newest of a session.
    for (client, choice) in [(&b, heap.as_str()), (&c, "latest"), (&a, "latest")] {
        let body = json!({"code": "++kept", "heap": choice, "session": "work", "wait_ms": 20_000});
        let ran = client.post("/api/exec", &body).json();
        assert_eq!(
            ran["status"],
            "completed",
            "{choice} at {}: {ran}",
            client.address()
        );
    }
    let entries = b.get("/api/sessions/work/snapshots").json();
    assert_eq!(entries["entries"].as_array().unwrap().len(), 4, "{entries}");
    let last = &entries["entries"][3]["output_heap"];
    let ran = b.post(
        "/api/exec",
        &json!({"code": "kept", "heap": last, "wait_ms": 20_000}),
    );
    assert_eq!(ran.json()["result"], "44", "{ran:?}");

    // What runs on one node is cancelled by way of another.
    let endless = b.submit("for (;;) {}");
    let cancelled = c.bare("POST", &format!("/api/executions/{endless}/cancel"));
    assert_eq!(cancelled.status, 200, "{cancelled:?}");
    for client in [&a, &b, &c] {
        assert_eq!(wait(client, &endless)["status"], "cancelled");
    }
    let unknown = "00000000-0000-4000-8000-000000000000";
    for client in [&a, &b, &c] {
        let answer = client.get(&format!("/api/executions/{unknown}"));
        assert_eq!(answer.error_code(), "execution_not_found", "{answer:?}");
    }
    cluster.finish();
}

#[test]
fn any_node_answers_anything_where_all_have_a_secret() {
    any_node_answers(Mode::Secret);
}

#[test]
fn any_node_answers_anything_where_each_has_a_certificate() {
    any_node_answers(Mode::Certificates);
}

#[test]
fn a_balancer_without_stickiness_is_enough() {
    let mut cluster = Cluster::start(&Setup::default());
    let nodes: Vec<_> = cluster.nodes().iter().map(|node| node.http).collect();
    let balancer = Balancer::start(place::reserve(), &nodes).unwrap();
    let are_ready = || balancer.ready().len() == nodes.len();
    assert!(
        processes::within(PATIENCE, are_ready),
        "{:?}",
        balancer.ready()
    );
    // A client for each request: each comes to another node.
    let client = || Client::of(balancer.address(), PATIENCE);
    let step = |number: u64| {
        let mut body = json!({"code": "globalThis.n = 1", "session": "s", "wait_ms": 20_000});
        if number > 1 {
            body["code"] = "++n".into();
            body["heap"] = "latest".into();
        }
        let ran = client().post("/api/exec", &body).json();
        assert_eq!(ran["result"], json!(number.to_string()), "{ran}");
        let id = id_of(&ran);
        assert_eq!(wait(&client(), &id)["result"], ran["result"]);
        client().get(&format!("/api/executions/{id}/output")).status
    };
    for number in 1..=6 {
        assert_eq!(step(number), 200);
    }
    // One goes away, and nobody has to be told.
    cluster.node_mut("b").end();
    let is_passed_over = || balancer.ready().len() == nodes.len() - 1;
    assert!(processes::within(PATIENCE, is_passed_over));
    cluster.leader();
    for number in 7..=9 {
        let body = json!({"code": "++n", "heap": "latest", "session": "s", "wait_ms": 20_000});
        let mut ran = Value::Null;
        let is_done = processes::within(PATIENCE, || {
            ran = client().post("/api/exec", &body).json();
            ran["status"] == "completed"
        });
        assert!(
            is_done && ran["result"] == json!(number.to_string()),
            "{ran}"
        );
    }
    cluster.finish();
}

/// The code and the result of one execution, both as long as they may be, are one change of what nodes share.
#[test]
fn the_largest_change_comes_to_all_nodes() {
    let cluster = Cluster::start(&Setup::default());
    let code = format!("/*{}*/ 'y'.repeat(1 << 20)", "x".repeat((1 << 20) - 64));
    for name in ["a", "b", "c"] {
        let client = cluster.client(name);
        let body = json!({"code": code, "session": name, "wait_ms": 15_000});
        let ran = client.post("/api/exec", &body);
        let ran = ran.json();
        assert_eq!(ran["status"], "completed", "{name}: {}", ran["error"]);
        let entries = client
            .get(&format!("/api/sessions/{name}/snapshots"))
            .json();
        assert_eq!(entries["entries"].as_array().map(Vec::len), Some(1));
    }
    cluster.await_level();
    cluster.finish();
}

#[test]
fn a_node_that_is_asked_before_it_has_a_cluster_says_so() {
    let mut cluster = Cluster::prepare(&Setup::default());
    cluster.node_mut("a").start();
    let patience = Duration::from_secs(2);
    let client = cluster.node("a").client(patience);
    let waits = || cluster.node("a").log().contains("no answer yet");
    assert!(
        processes::within(PATIENCE, waits),
        "{}",
        cluster.node("a").log()
    );
    // Whoever looks after it must not take it for dead, and may wait for it before it starts the others.
    assert_eq!(client.get("/healthz").json(), json!({"status": "alive"}));
    let ready = client.get("/readyz");
    assert_eq!(
        (ready.status, ready.json()),
        (
            503,
            json!({"status": "unready", "checks": {"cluster": "failing"}})
        )
    );
    let code = json!({"code": "1 + 1"});
    let large = json!({"code": "1;".repeat(1 << 20)});
    for refused in [
        client.get("/api/executions"),
        client.post("/api/exec", &code),
        client.post("/api/exec", &large),
        client.post(
            "/mcp",
            &json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}),
        ),
    ] {
        assert_eq!(
            (refused.status, refused.error_code().as_str()),
            (503, "cluster_unavailable"),
            "{refused:?}"
        );
        assert_eq!(refused.header("retry-after"), "1", "{refused:?}");
    }
    // Somebody always answers while the others come, and not one is refused.
    let (stop, address) = (Arc::new(AtomicBool::new(false)), client.address());
    let asking = {
        let stop = Arc::clone(&stop);
        thread::spawn(move || {
            let mut statuses = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let answer = Client::of(address, PATIENCE).try_get("/readyz");
                statuses.push(answer.map_or(0, |answer| answer.status));
            }
            statuses
        })
    };
    for name in ["b", "c"] {
        cluster.node_mut(name).start();
    }
    cluster.await_ready();
    stop.store(true, Ordering::Relaxed);
    let mut statuses = asking.join().unwrap();
    assert!(
        statuses.iter().all(|status| [200, 503].contains(status)),
        "{statuses:?}"
    );
    statuses.dedup();
    assert_eq!(statuses.last(), Some(&200), "{statuses:?}");
    assert_eq!(client.run("1 + 1")["result"], "2");
    cluster.finish();
}
