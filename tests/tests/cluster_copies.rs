//! Copies of heaps in a cluster: made again when a node is lost, and never removed by who does not know better.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use e2e::cluster::proxy::Fault;
use e2e::cluster::{Cluster, Setup};
use e2e::processes;
use e2e::server::PATIENCE;
use serde_json::Value;

/// Longer ago than any retention here.
const LONG: Duration = Duration::from_secs(8 * 24 * 60 * 60);
/// Longer than a node takes that knows its cluster until it looks for orphans.
const COLLECTED: Duration = Duration::from_secs(10);

/// What a node counts under this name.
fn figure(cluster: &Cluster, name: &str, what: &str) -> Option<u64> {
    let page = cluster.client(name).try_get("/metrics").ok()?;
    let line = page.body.lines().find(|line| line.starts_with(what))?;
    line.split(' ').nth(1)?.parse().ok()
}

fn make_old(path: &Path) {
    let file = File::open(path).unwrap();
    file.set_modified(SystemTime::now() - LONG).unwrap();
}

#[test]
fn a_heap_outlives_its_nodes_where_they_are_lost_one_after_the_other() {
    let mut cluster = Cluster::start(&Setup::default());
    let heaps: Vec<Value> = (0..5)
        .map(|number| {
            cluster
                .client("a")
                .run_from(&format!("globalThis.n = {number}"), &Value::Null)
        })
        .map(|ended| ended["heap"].clone())
        .collect();
    let on_b = heaps
        .iter()
        .filter(|heap| cluster.holders(heap).contains(&"b".to_owned()));
    let lost = if on_b.count() > 0 { "b" } else { "c" };
    let other = if lost == "b" { "c" } else { "b" };
    let alone = |heap: &&Value| cluster.holders(heap) == ["a", lost];
    let affected: Vec<Value> = heaps.iter().filter(alone).cloned().collect();
    // Its disk is gone, it is replaced, and what it had is on two nodes again.
    cluster.node_mut(lost).kill();
    cluster.node_mut(lost).wipe();
    cluster.leader_of(&["a".to_owned(), other.to_owned()]);
    let (status, answer) = cluster.leave("a", lost);
    assert_eq!(status, 200, "{answer}");
    cluster.rejoin(lost, "a", &[]);
    cluster.await_ready();
    let are_on_two = || heaps.iter().all(|heap| cluster.holders(heap).len() >= 2);
    assert!(processes::within(PATIENCE, are_on_two));
    let copied = || figure(&cluster, "a", "mcp_v8_heaps_recopied_total");
    assert!(processes::within(PATIENCE, || copied() >= Some(affected.len() as u64)));
    assert!(processes::within(PATIENCE, || figure(
        &cluster,
        "a",
        "mcp_v8_heaps_short "
    ) == Some(0)));
    // Now the one that made them all is lost too.
    cluster.node_mut("a").kill();
    cluster.node_mut("a").wipe();
    let left = cluster.others("a");
    cluster.leader_of(&left);
    for (number, heap) in heaps.iter().enumerate() {
        for name in &left {
            let ended = cluster.client(name).run_from("n", heap);
            assert_eq!(ended["result"], number.to_string(), "{ended}");
        }
    }
    cluster.finish();
}

#[test]
fn what_a_node_had_that_leaves_is_on_two_again_soon() {
    let mut cluster = Cluster::start(&Setup::default());
    let client = cluster.client("a");
    let mut heaps: Vec<Value> = Vec::new();
    let is_on_b = |heap: &Value| cluster.heap_file("b", heap).is_some();
    while !heaps.iter().any(is_on_b) {
        let code = format!("globalThis.n = {}", heaps.len());
        let ended = client.run_from(&code, &Value::Null);
        heaps.push(ended["heap"].clone());
    }
    let is_zero =
        |cluster: &Cluster, name: &str, what: &str| figure(cluster, name, what) == Some(0);
    // All have looked. The next time would be in five minutes.
    for name in cluster.names() {
        let has_looked = || is_zero(&cluster, &name, "mcp_v8_heaps_counting ");
        assert!(processes::within(PATIENCE, has_looked));
    }
    let (status, answer) = cluster.leave("a", "b");
    assert_eq!(status, 200, "{answer}");
    cluster.node_mut("b").await_end();
    cluster.forget("b");
    let are_on_two = || heaps.iter().all(|heap| cluster.holders(heap) == ["a", "c"]);
    assert!(processes::within(PATIENCE, are_on_two));
    for name in cluster.names() {
        let is_told = || {
            is_zero(&cluster, &name, "mcp_v8_heaps_counting ")
                && is_zero(&cluster, &name, "mcp_v8_heaps_short ")
        };
        assert!(processes::within(PATIENCE, is_told));
    }
    cluster.finish();
}

#[test]
fn a_node_that_comes_back_removes_nothing_before_it_knows_what_its_cluster_knows() {
    let mut cluster = Cluster::start(&Setup::default());
    cluster
        .client("c")
        .run_from("globalThis.n = 0", &Value::Null);
    cluster.await_level();
    cluster.node_mut("c").kill();
    cluster.leader_of(&["a".to_owned(), "b".to_owned()]);
    // What c has and has not heard of, and what nobody has heard of; both are old.
    let ended = cluster
        .client("a")
        .run_from("globalThis.n = 1", &Value::Null);
    let heap = ended["heap"].clone();
    let found = cluster.heap_file("a", &heap).unwrap();
    let folder = found.parent().unwrap().file_name().unwrap();
    let folder = cluster.node("c").heaps().join(folder);
    fs::create_dir_all(&folder).unwrap();
    let kept = folder.join(found.file_name().unwrap());
    let orphan = folder.join(format!("{}.heap", "0".repeat(64)));
    for path in [&kept, &orphan] {
        fs::copy(&found, path).unwrap();
        make_old(path);
    }
    cluster.network.part(&["c"], &["a", "b"], Fault::Silent);
    cluster.node_mut("c").start();
    let is_gone = || !orphan.exists() || !kept.exists();
    assert!(
        !processes::within(COLLECTED, is_gone),
        "it knows nothing yet"
    );
    cluster.network.heal();
    cluster.await_ready();
    assert!(processes::within(PATIENCE, || !orphan.exists()));
    assert!(kept.exists());
    cluster.finish();
}

#[test]
fn who_collects_by_hand_removes_nothing_that_a_cluster_may_need() {
    let mut cluster = Cluster::start(&Setup {
        nodes: 1,
        ..Setup::default()
    });
    let ended = cluster
        .client("a")
        .run_from("globalThis.n = 1", &Value::Null);
    let heap = ended["heap"].clone();
    let path = cluster.heap_file("a", &heap).unwrap();
    make_old(&path);
    let collect = |cluster: &Cluster, database: &str, flags: &[&str]| {
        let home = &cluster.node("a").home;
        let mut command = home.command();
        command.arg("gc").args(flags);
        command.arg("--directory-path").arg(home.path("heaps"));
        command.arg("--session-db-path").arg(home.path(database));
        let output = command.output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    };
    for is_up in [true, false] {
        if !is_up {
            assert!(cluster.node_mut("a").end().success());
        }
        for flags in [&[][..], &["--dry-run"], &["--sole-database"]] {
            let (code, said) = collect(&cluster, "data", flags);
            assert_eq!(code, Some(1), "{said}");
            assert!(said.contains("its cluster alone knows"), "{said}");
        }
        // Nor does a server with another database know, whatever its operator says.
        let (worker, server) = ("mcp-v8-worker", &cluster.node("a").home);
        let mut other = server.command();
        other.arg("--worker-path").arg(server.path(worker));
        other.arg("--session-db-path").arg(server.path("other"));
        other
            .arg("--directory-path")
            .arg(server.path("other-heaps"));
        let mut other = other.stdin(std::process::Stdio::null()).spawn().unwrap();
        assert!(other.wait().unwrap().success());
        for flags in [&[][..], &["--sole-database"], &["--sole-database"]] {
            let (code, said) = collect(&cluster, "other", flags);
            assert_eq!(code, Some(1), "{said}");
            assert!(said.contains("part of a cluster"), "{said}");
            assert!(path.exists());
        }
    }
    cluster.finish();
}
