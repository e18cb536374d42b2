//! Every case of `tests/specs` against the worker program.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use e2e::{specs, worker};
use mcp_v8_protocol::message::HeapUse;

/// Fewer mean that some were lost.
const CASES_MIN: usize = 150;
/// How many workers run at once.
const WORKERS: usize = 2;
/// Runs only the cases whose names contain the value of this variable.
const FILTER: &str = "MCP_V8_SPECS";

#[test]
fn scripts_give_what_their_specifications_say() {
    check(HeapUse::Discard);
}

/// Where heaps are kept the runtime is made in another way; a script must not notice.
#[test]
fn scripts_whose_heaps_are_kept_give_the_same() {
    check(HeapUse::New);
}

fn check(heap: HeapUse) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("specs");
    let mut cases = specs::load(&root).unwrap_or_else(|error| panic!("{error}"));
    assert!(
        cases.len() >= CASES_MIN,
        "{} cases in {}",
        cases.len(),
        root.display()
    );
    if let Ok(part) = std::env::var(FILTER) {
        cases.retain(|case| case.name.contains(&part));
    }
    let program = worker::program().unwrap_or_else(|error| panic!("{error}"));
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = match worker::run(&program, case.start(heap), case.deadline()) {
                        Ok(conversation) => case.differences(&conversation),
                        Err(error) => vec![error.to_string()],
                    };
                    if !found.is_empty() {
                        let text = format!("{}\n    {}", case.name, found.join("\n    "));
                        failures.lock().unwrap().push(text);
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().unwrap();
    failures.sort();
    assert!(
        failures.is_empty(),
        "{} of {} cases failed:\n\n{}\n",
        failures.len(),
        cases.len(),
        failures.join("\n")
    );
}
