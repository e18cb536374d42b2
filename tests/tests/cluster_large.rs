//! Much that is large, at once: it costs no leader its place; and a node that has missed so much of it that the
//! log does not have it any more gets a snapshot, however often it dies meanwhile.

use std::fs;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use e2e::cluster::proxy::Fault;
use e2e::cluster::traffic::{WORK, under_load};
use e2e::cluster::{Cluster, Setup};
use e2e::http::Client;
use e2e::processes;
use e2e::server::PATIENCE;
use serde_json::{Value, json};

/// The code of a large run, in bytes.
const LARGE_BYTES: usize = 1_000_000;
/// Large runs of a burst.
const BURST: usize = 50;
/// Who asks for them at once.
const ASKERS: usize = 10;
/// Further ones until the log has let go of what a node has missed, at most, and how many at a time.
const MORE_MAX: usize = 150;
const MORE: usize = 10;
const SESSION: &str = "large";
/// How late each piece of a snapshot is, so that its way takes a while.
const LATE: Duration = Duration::from_millis(3);
/// A snapshot is on its way when so much of it has come, in bytes.
const ON_ITS_WAY_BYTES: u64 = 8 << 20;

/// Code that no compression makes small, another each time: a comment of letters, and a one.
fn large(seed: u64) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_$";
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let letters = std::iter::repeat_with(|| {
        // Xorshift: each number follows from the one before.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(LETTERS[usize::from(state.to_le_bytes()[4] & 63)])
    });
    let letters: String = letters.take(LARGE_BYTES).collect();
    format!("/*{letters}*/ 1")
}

/// Runs large code on these nodes, until so much of it has completed.
fn burst(clients: &[Client], numbers: &AtomicU64, count: usize) {
    let left = AtomicUsize::new(count);
    thread::scope(|scope| {
        for asker in 0..ASKERS {
            let client = &clients[asker % clients.len()];
            let left = &left;
            scope.spawn(move || {
                let takes = |left: usize| left.checked_sub(1);
                while left
                    .fetch_update(Ordering::SeqCst, Ordering::SeqCst, takes)
                    .is_ok()
                {
                    run(client, &large(numbers.fetch_add(1, Ordering::Relaxed)));
                }
            });
        }
    });
}

fn run(client: &Client, code: &str) {
    let body = json!({"code": code, "session": SESSION, "wait_ms": 20_000});
    let mut seen = Value::Null;
    let has_run = processes::within(PATIENCE, || {
        let answer = client.try_send("POST", "/api/exec", &body);
        seen = answer.map_or_else(|error| error.to_string().into(), |answer| answer.json());
        seen["status"] == "completed"
    });
    assert!(has_run, "{}", seen["error"]);
}

/// The first entry that the log of a node still has, and the last one that is applied.
fn log(cluster: &Cluster, name: &str) -> (u64, u64) {
    let status = cluster.status(name).unwrap_or_default();
    let number = |name: &str| status[name].as_u64().unwrap_or_default();
    let first = number("commit_index").saturating_sub(number("log_length"));
    (first, number("last_applied"))
}

/// Bytes of the file in a node's directory of snapshots whose name ends so.
fn arrived(cluster: &Cluster, name: &str, suffix: &str) -> Option<u64> {
    let directory = cluster.node(name).home.path("data").join("snapshots");
    let files = fs::read_dir(directory).ok()?.flatten();
    let mut found = files.filter(|file| file.file_name().to_string_lossy().ends_with(suffix));
    Some(found.next()?.metadata().ok()?.len())
}

/// Entries of the session with the large ones, by a node's word.
fn entries(client: &Client) -> usize {
    let mut all = 0;
    let mut next = Some(0);
    while let Some(from) = next {
        let path = format!("/api/sessions/{SESSION}/snapshots?fields=index&from_index={from}");
        let seen = client.get(&path).json();
        all += seen["entries"].as_array().map_or(0, Vec::len);
        next = seen["next_index"].as_u64();
    }
    all
}

#[test]
#[allow(clippy::print_stderr, reason = "a test says what it has measured")]
fn a_burst_of_large_runs_unseats_nobody_and_whoever_missed_it_gets_a_snapshot() {
    under_load(&Setup::default(), |cluster, traffic| {
        let follower = cluster.follower();
        let leader = cluster.leader();
        let others = cluster.others(&follower);
        let words: Vec<&str> = others.iter().map(String::as_str).collect();
        let clients: Vec<Client> = others.iter().map(|name| cluster.client(name)).collect();
        cluster.network.part(&[&follower], &words, Fault::Silent);
        let (_, had) = log(cluster, &follower);

        let term = cluster.term(&leader);
        let numbers = AtomicU64::new(1);
        let begin = Instant::now();
        burst(&clients, &numbers, BURST);
        eprintln!("{BURST} large runs took {:?}", begin.elapsed());
        assert!(
            cluster.term(&leader) == term || processes::is_machine_busy(),
            "there was an election"
        );
        let mut more = 0;
        while log(cluster, &leader).0 <= had {
            assert!(more < MORE_MAX, "the log keeps all");
            burst(&clients, &numbers, MORE);
            more += MORE;
        }
        traffic.await_work(&others, WORK);
        assert!(cluster.network.struck(&follower) > 0);

        // It dies while the snapshot comes, and as it takes it.
        cluster.network.heal();
        for name in &others {
            let slow = Fault::Slow(LATE);
            cluster.network.break_link(name, &follower, slow);
        }
        let comes =
            || arrived(cluster, &follower, ".part").is_some_and(|bytes| bytes >= ON_ITS_WAY_BYTES);
        assert!(processes::within(PATIENCE, comes), "no snapshot comes");
        cluster.node_mut(&follower).kill();
        let before = arrived(cluster, &follower, ".part");
        cluster.network.heal();
        cluster.node_mut(&follower).start();
        let has_come = || {
            let suffixes = [".arrived", ".snapshot"];
            suffixes
                .iter()
                .any(|suffix| arrived(cluster, &follower, suffix).is_some())
        };
        assert!(processes::within(PATIENCE, has_come), "no snapshot came");
        eprintln!("killed at {before:?} bytes, and as it had come");
        cluster.node_mut(&follower).kill();
        cluster.node_mut(&follower).start();
        cluster.await_ready();
        let (first, _) = log(cluster, &follower);
        assert!(first > had, "it has {first}, and had {had} without it");
        traffic.await_work(std::slice::from_ref(&follower), WORK);
        // One may be there twice: whoever had no answer has asked again.
        let seen = entries(&clients[0]);
        assert!(seen >= BURST + more, "{seen}");
        for name in cluster.names() {
            assert_eq!(entries(&cluster.client(&name)), seen, "{name}");
        }
    });
}
