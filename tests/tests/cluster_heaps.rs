//! Heaps of a cluster whose nodes have directories and keys of their own.

use std::fs;

use e2e::cluster::{Cluster, Setup};
use serde_json::{Value, json};

#[test]
fn a_heap_outlives_the_node_that_made_it_and_its_directory() {
    let mut cluster = Cluster::start(&Setup::default());
    let mut heap = Value::Null;
    let mut maker = Vec::new();
    for number in 0..6 {
        let name = ["a", "b", "c"][number % 3];
        let code = "globalThis.n = (globalThis.n ?? 0) + 1; n";
        let ended = cluster.client(name).run_from(code, &heap);
        assert_eq!(ended["result"], (number + 1).to_string(), "{ended}");
        heap = ended["heap"].clone();
        let holders = cluster.holders(&heap);
        assert_eq!(holders.len(), 2, "{holders:?}");
        assert!(holders.contains(&name.to_owned()), "{holders:?}");
        maker.push(name);
    }
    // The node that made it is gone, and the two others both go on from it.
    let maker = maker.last().unwrap().to_string();
    cluster.node_mut(&maker).kill();
    let others = cluster.others(&maker);
    cluster.leader_of(&others);
    for name in &others {
        let ended = cluster.client(name).run_from("n + 1", &heap);
        assert_eq!(ended["result"], "7", "{ended}");
        let made = cluster.holders(&ended["heap"]);
        assert_eq!(made, others, "there are two nodes");
    }
    // It comes back without its heaps, and with another key.
    let directory = cluster.node(&maker).heaps();
    fs::remove_dir_all(&directory).unwrap();
    cluster.node_mut(&maker).start();
    cluster.await_ready();
    let ended = cluster.client(&maker).run_from("n + 2", &heap);
    assert_eq!(ended["result"], "8", "{ended}");
    assert!(cluster.holders(&heap).contains(&maker));
    let unknown = json!({"code": "1", "heap": "0".repeat(64)});
    let answer = cluster.client(&maker).post("/api/exec", &unknown);
    assert_eq!(answer.status, 404, "{answer:?}");
    cluster.finish();
}

#[test]
fn without_a_second_node_an_execution_completes_and_keeps_no_heap() {
    let mut cluster = Cluster::start(&Setup::default());
    // Their places are gone: files are there.
    for name in ["b", "c"] {
        let directory = cluster.node(name).heaps();
        fs::remove_dir_all(&directory).unwrap();
        fs::write(&directory, "").unwrap();
    }
    let body = json!({"code": "globalThis.n = 1; n", "session": "work", "wait_ms": 20_000});
    let ended = cluster.client("a").post("/api/exec", &body).json();
    assert_eq!(ended["status"], "completed", "{ended}");
    assert_eq!(
        (&ended["result"], &ended["heap"]),
        (&json!("1"), &Value::Null)
    );
    let why = ended["heap_error"].as_str().unwrap();
    assert!(why.contains("second node"), "{why}");
    for name in ["b", "c"] {
        cluster.node_mut(name).kill();
        fs::remove_file(cluster.node(name).heaps()).unwrap();
        cluster.node_mut(name).start();
    }
    cluster.await_ready();
    cluster
        .client("a")
        .run_from("globalThis.n = 1; n", &Value::Null);
    cluster.finish();
}
