//! What the classes of fetch cost a worker: without the grant, with it, and when they are used.
//!
//! The first, which may not fetch, is the floor of the others. CPU time of the whole process, and of the
//! fork server for it; the ways take turns, so that what else the machine does falls on all of them alike.

use mcp_v8_protocol::message::Grants;
use serde_json::{Map, Value};

use crate::statistics::Distribution;
use crate::worker::{Executing, Forking};

/// How often each script is run in each kind of worker.
const ROUNDS: usize = 300;

/// Name, script, and whether it may make requests. The value of each is 2.
const SCRIPTS: [(&str, &str, bool); 6] = [
    ("no_grant", "1 + 1", false),
    ("granted", "1 + 1", true),
    ("headers", "new Headers({ a: 'b' }); 1 + 1", true),
    ("response", "new Response('x'); 1 + 1", true),
    ("form", "new FormData(); 1 + 1", true),
    ("fetch", "(await fetch('data:,12')).ok + 1", true),
];

/// Measures it all.
pub(crate) fn measure() -> Value {
    let mut executing = Executing::new();
    let mut forking = Forking::new();
    let mut spent = SCRIPTS.map(|_| (Vec::new(), Vec::new()));
    for _ in 0..ROUNDS {
        for ((_, source, fetch), (executed, forked)) in SCRIPTS.iter().zip(&mut spent) {
            let grants = Grants { fetch: *fetch };
            executed.push(executing.run(source, grants));
            forked.push(forking.run(source, grants));
        }
    }
    let mut report = Map::new();
    for ((name, ..), (executed, forked)) in SCRIPTS.iter().zip(spent) {
        let figures = serde_json::json!({
            "executed_cpu_ms": Distribution::new(executed).json(),
            "forked_cpu_ms": Distribution::new(forked).json(),
        });
        report.insert((*name).to_owned(), figures);
    }
    report.into()
}
