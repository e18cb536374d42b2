//! What is looked at when nothing happens to a cluster any more: whether it stays as it is for a minute, and how
//! long a node needs that has to apply all of its log.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use e2e::cluster::Cluster;
use e2e::http::Client;
use e2e::processes;
use serde_json::{Value, json};

use crate::client::millis;

/// How long nobody asks anything.
const QUIET: Duration = Duration::from_secs(60);
/// How often a node saw another leader, or none.
const LEADER_CHANGES: &str = "mcp_v8_cluster_leader_changes_total";
/// How often a node's thread stood still, because somebody had stopped the machine.
const STOOD_STILL: &str = "mcp_v8_cluster_stood_still_total";
/// Entries that a node has to apply again: a little less than a log keeps (`LOG_KEPT_ENTRIES`).
const UNAPPLIED: u64 = 9_800;
/// Who makes them.
const SETTERS: usize = 16;
/// How long that may take.
const MAKING_MAX: Duration = Duration::from_secs(600);
/// From one look at how many there are to the next.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// What the files of a node's state begin with.
const STATE: &str = "executions.db";

/// What came of a quiet minute.
#[derive(Debug)]
pub(super) struct Quiet {
    elections: u64,
    leader_changes: f64,
    stood_still: f64,
}

/// Nobody asks a cluster anything.
pub(super) fn rest(cluster: &Cluster) -> Quiet {
    let leader = cluster.leader();
    let term = cluster.term(&leader);
    let count = |series: &str| -> f64 {
        let nodes = cluster.nodes().iter();
        nodes
            .map(|node| sum(&cluster.client(&node.name), series))
            .sum()
    };
    let (changes, stops) = (count(LEADER_CHANGES), count(STOOD_STILL));
    thread::sleep(QUIET);
    let now = cluster.leader();
    Quiet {
        elections: cluster.term(&now) - term,
        leader_changes: count(LEADER_CHANGES) - changes,
        stood_still: count(STOOD_STILL) - stops,
    }
}

impl Quiet {
    /// What must not be: another leader, where the machine went on.
    pub(super) fn wrong(&self) -> Vec<String> {
        let is_calm = self.elections == 0 && self.leader_changes == 0.0;
        let is_excused = self.stood_still > 0.0;
        let told = || format!("nobody asked anything, and leaders changed: {self:?}");
        (!is_calm && !is_excused).then(told).into_iter().collect()
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "seconds": QUIET.as_secs(),
            "elections": self.elections,
            "leader_changes": self.leader_changes,
            "times_that_threads_stood_still": self.stood_still,
        })
    }
}

/// A node loses what its state had not made durable, as when a machine loses its power: it has the log, and a
/// state of long ago. How many entries it had to apply, and how long it took until it was ready.
pub(super) fn restart_with_an_old_state(cluster: &mut Cluster) -> Value {
    let name = cluster.follower();
    let heap = register(&cluster.client(&name));
    cluster.await_level();
    let status = cluster.node_mut(&name).end();
    assert!(status.success(), "{name} ended with {status}");
    let data = cluster.node(&name).home.path("data");
    let old = cluster.node(&name).home.path("old");
    fs::create_dir(&old).expect("a directory in our own");
    copy(&data, &old);
    cluster.node_mut(&name).start();
    cluster.await_ready();
    let had = applied(cluster, &name);
    make_entries(cluster, &heap, had + UNAPPLIED);
    cluster.await_level();
    let has = applied(cluster, &name);
    cluster.node_mut(&name).kill();
    for file in files(&data) {
        fs::remove_file(file).expect("a file in our own directory");
    }
    copy(&old, &data);
    let begin = Instant::now();
    cluster.node_mut(&name).start();
    cluster.await_ready_one(&name);
    let took = begin.elapsed();
    assert!(applied(cluster, &name) >= has, "it has less than it had");
    json!({"entries": has - had, "ready_after_ms": millis(took)})
}

/// Sets tags until the log ends there.
fn make_entries(cluster: &Cluster, heap: &str, end: u64) {
    let leader = cluster.leader();
    let path = format!("/api/heaps/{heap}/tags");
    let has_ended = AtomicBool::new(false);
    let is_done = thread::scope(|scope| {
        for setter in 0..SETTERS {
            let client = cluster.client(&leader);
            let (path, has_ended) = (&path, &has_ended);
            scope.spawn(move || {
                while !has_ended.load(Ordering::Relaxed) {
                    let tags = json!({"tags": {"v": setter.to_string()}});
                    // Whoever is refused asks again.
                    drop(client.try_send("PUT", path, &tags));
                }
            });
        }
        let is_done = processes::within(MAKING_MAX, || {
            thread::sleep(LOOK_INTERVAL);
            applied(cluster, &leader) >= end
        });
        has_ended.store(true, Ordering::Relaxed);
        is_done
    });
    assert!(is_done, "{} of {end}", applied(cluster, &leader));
}

fn applied(cluster: &Cluster, name: &str) -> u64 {
    let status = cluster.status(name).unwrap_or_default();
    status["last_applied"].as_u64().unwrap_or_default()
}

/// A heap that has tags.
fn register(client: &Client) -> String {
    let made = client.run("globalThis.register = 1; 1");
    let heap = made["heap"].as_str();
    heap.unwrap_or_else(|| panic!("no heap: {made}")).to_owned()
}

/// The files of a state in a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("a directory in our own");
    let paths = entries.flatten().map(|entry| entry.path());
    let is_state = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default();
        name.to_string_lossy().starts_with(STATE)
    };
    paths.filter(is_state).collect()
}

fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let name = file.file_name().unwrap_or_default();
        fs::copy(&file, to.join(name)).expect("a file in our own directory");
    }
}

/// The sum of all series of this name that a node shows.
fn sum(client: &Client, name: &str) -> f64 {
    let figures = client.get("/metrics").body;
    let lines = figures.lines().filter(|line| line.starts_with(name));
    let values = lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
    values.sum()
}
