//! The classes of the web against their standards: `tests/standards`. Each topic is a script that makes
//! many assertions and counts them; how many hold, and which do not and why, is in `counts.toml`. One
//! that is lost fails as one that does not hold.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use e2e::worker::{self, End};
use mcp_v8_protocol::message::{ExecutionLimits, Finished, Grants, HeapUse, Start};
use serde::Deserialize;

/// Runs only the topics whose names contain the value of this variable.
const FILTER: &str = "MCP_V8_STANDARDS";
/// What every topic begins with.
const HARNESS: &str = "harness.js";
const COUNTS: &str = "counts.toml";
const DEADLINE: Duration = Duration::from_secs(60);
const HEAP_BYTES: u64 = 32 << 20;

/// What is to come of a topic.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Count {
    /// How many assertions hold.
    holds: usize,
    /// Which do not, and why.
    #[serde(default)]
    known: BTreeMap<String, String>,
}

/// What came of it.
#[derive(Deserialize)]
struct Report {
    holds: usize,
    fails: BTreeMap<String, String>,
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("standards")
}

fn read(name: &str) -> String {
    let path = directory().join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The topics that are there as scripts.
fn topics() -> BTreeSet<String> {
    let listed = fs::read_dir(directory()).expect("the directory of topics");
    let names = listed.map(|entry| entry.expect("an entry").file_name());
    names
        .filter_map(|name| name.to_str()?.strip_suffix(".js").map(str::to_owned))
        .filter(|name| format!("{name}.js") != HARNESS)
        .collect()
}

fn run(topic: &str) -> Result<Report, String> {
    let script = read(&format!("{topic}.js"));
    let start = Start {
        source: format!("{}\n{script}\nreport();", read(HARNESS)),
        limits: ExecutionLimits {
            heap_bytes: HEAP_BYTES,
            buffer_bytes: HEAP_BYTES,
            cpu_seconds: 60,
            snapshot_bytes: 0,
        },
        heap: HeapUse::Discard,
        grants: Grants { fetch: true },
    };
    let program = worker::program().map_err(|error| error.to_string())?;
    let arguments = ["--engine-tier", "jit", "--mode", "stateless"];
    let conversation = worker::run(&program, &arguments, start, DEADLINE);
    let conversation = conversation.map_err(|error| error.to_string())?;
    match conversation.end {
        End::Finished(Finished::Completed(done)) => serde_json::from_str(&done.result.text)
            .map_err(|error| format!("{error}: {}", done.result.text)),
        other => Err(format!("{other:?}; it said: {}", conversation.console)),
    }
}

/// What differs between what is to come of a topic and what came.
fn differences(topic: &str, count: &Count) -> Vec<String> {
    let report = match run(topic) {
        Ok(report) => report,
        Err(why) => return vec![format!("{topic}: {why}")],
    };
    let mut found = Vec::new();
    for (name, why) in &report.fails {
        if !count.known.contains_key(name) {
            found.push(format!("{topic}: {name}: {why}"));
        }
    }
    for name in count.known.keys() {
        if !report.fails.contains_key(name) {
            found.push(format!("{topic}: {name}: is known to fail, and does not"));
        }
    }
    if report.holds != count.holds {
        let (holds, expected) = (report.holds, count.holds);
        found.push(format!("{topic}: {holds} assertions hold, not {expected}"));
    }
    found
}

#[test]
fn the_classes_of_the_web_do_what_their_standards_say() {
    let counts: BTreeMap<String, Count> =
        toml::from_str(&read(COUNTS)).unwrap_or_else(|error| panic!("{COUNTS}: {error}"));
    let counted: BTreeSet<String> = counts.keys().cloned().collect();
    assert_eq!(counted, topics(), "each topic is counted");
    let part = std::env::var(FILTER).unwrap_or_default();
    let chosen = counts.iter().filter(|(topic, _)| topic.contains(&part));
    let found: Vec<String> = chosen
        .flat_map(|(topic, count)| differences(topic, count))
        .collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}
