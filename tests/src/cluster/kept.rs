//! Heaps that clients were told of: every node must have them, or get them from one that does.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::Cluster;
use crate::http::Client;
use crate::processes;
use crate::server::PATIENCE;

/// A heap that a client was told of.
#[derive(Debug, Clone)]
pub struct Kept {
    /// When the run was asked for that left it, in the time of the history.
    pub since: Duration,
    /// Its id.
    pub heap: String,
    /// What its `log.join()` is.
    pub holds: String,
}

/// All of them.
#[derive(Debug, Default)]
pub struct KeptHeaps(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    heaps: Vec<Kept>,
    lost: Vec<(Duration, String)>,
}

impl KeptHeaps {
    /// Takes note of one.
    pub fn note(&self, kept: Kept) {
        self.lock().heaps.push(kept);
    }

    /// Takes note that all that was on a node's disk is lost, at this time of the history.
    pub fn lose(&self, when: Duration, node: &str) {
        self.lock().lost.push((when, node.to_owned()));
    }

    /// Those that must be there: a heap is on two nodes when a client is told of it, so that it may be lost with
    /// the second one that loses its disk.
    fn owed(&self) -> Vec<Kept> {
        let state = self.lock();
        let is_owed = |kept: &&Kept| {
            let since = state.lost.iter().filter(|(when, _)| *when >= kept.since);
            let nodes: BTreeSet<&String> = since.map(|(_, node)| node).collect();
            nodes.len() < 2
        };
        state.heaps.iter().filter(is_owed).cloned().collect()
    }

    /// Has every node that runs go on from so many of them at most, some from all of the time: how often one
    /// did, and what is wrong.
    pub fn read(&self, cluster: &Cluster, most: usize) -> (usize, Vec<String>) {
        let owed = self.owed();
        let pace = owed.len().div_ceil(most).max(1);
        let mut read = 0;
        let mut wrong = Vec::new();
        // From the newest back: that is the one that was told of last.
        for kept in owed.iter().rev().step_by(pace) {
            for node in cluster.nodes().iter().filter(|node| node.is_up()) {
                read += 1;
                let seen = go_on(&cluster.client(&node.name), &kept.heap);
                if seen["result"] != kept.holds.as_str() {
                    wrong.push(format!("{} on {}: {seen}", kept.heap, node.name));
                }
            }
        }
        (read, wrong)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a run on a heap comes to, once the node takes it.
fn go_on(client: &Client, heap: &str) -> Value {
    let body = json!({"code": "log.join()", "heap": heap, "wait_ms": 20_000});
    let mut seen = Value::Null;
    processes::within(PATIENCE, || {
        let answer = client.try_send("POST", "/api/exec", &body);
        seen = answer.map_or_else(|error| error.to_string().into(), |answer| answer.json());
        seen["status"] == "completed"
    });
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_nodes_may_have_lost_is_not_owed() {
        let kept = KeptHeaps::default();
        let at = Duration::from_secs;
        for second in [1, 3, 5] {
            kept.note(Kept {
                since: at(second),
                heap: second.to_string(),
                holds: String::new(),
            });
        }
        let owed = || -> Vec<String> { kept.owed().into_iter().map(|kept| kept.heap).collect() };
        kept.lose(at(2), "a");
        kept.lose(at(2), "a");
        assert_eq!(owed(), ["1", "3", "5"], "one node has lost its disk, twice");
        kept.lose(at(4), "b");
        assert_eq!(owed(), ["3", "5"]);
        kept.lose(at(6), "c");
        assert_eq!(owed(), ["5"]);
    }
}
