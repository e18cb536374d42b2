//! Every case of `tests/specs` against the worker program: in each tier of the engine, in workers that
//! are executed and in workers that are forked.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use e2e::specs::{self, Case};
use e2e::worker;
use e2e::zygote::Zygote;
use mcp_v8_protocol::message::HeapUse;
use mcp_v8_protocol::mode::Mode;

/// Fewer mean that some were lost.
const CASES_MIN: usize = 150;
/// How many workers run at once.
const WORKERS: usize = 2;
/// Runs only the cases whose names contain the value of this variable.
const FILTER: &str = "MCP_V8_SPECS";
/// Of the cases that all other tests here run too, each so-manyth is enough.
const SAMPLE: usize = 8;

#[test]
fn scripts_give_what_their_specifications_say() {
    hold("jit", &cases("jit"), Way::Executed);
}

#[test]
fn scripts_give_the_same_in_workers_that_are_forked() {
    hold("jit", &cases("jit"), Way::Forked);
}

#[test]
fn scripts_give_the_same_without_optimising_compilers() {
    hold("baseline", &cases("baseline"), Way::Forked);
}

#[test]
fn scripts_give_the_same_without_any_compiler() {
    hold("jitless", &cases("jitless"), Way::Forked);
}

#[test]
fn executed_workers_of_the_other_tiers_are_no_different() {
    for tier in ["baseline", "jitless"] {
        let every = cases(tier).into_iter().step_by(SAMPLE);
        hold(tier, &every.collect::<Vec<_>>(), Way::Executed);
    }
}

/// Where heaps are kept the runtime is made in another way; a script must not notice.
#[test]
fn scripts_whose_heaps_are_kept_give_the_same() {
    let mut cases = cases("jit");
    cases.retain(Case::is_for_heaps);
    hold("jit", &cases, Way::KeepingHeaps);
}

#[derive(Clone, Copy)]
enum Way {
    Executed,
    Forked,
    KeepingHeaps,
}

/// The cases that hold in a tier.
fn cases(tier: &str) -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("specs");
    let mut cases = specs::load(&root).unwrap_or_else(|error| panic!("{error}"));
    cases.retain(|case| case.is_for(tier));
    assert!(
        cases.len() >= CASES_MIN,
        "{} cases in {}",
        cases.len(),
        root.display()
    );
    if let Ok(part) = std::env::var(FILTER) {
        cases.retain(|case| case.name.contains(&part));
    }
    cases
}

/// Runs cases in a tier, and fails with everything that came out otherwise.
fn hold(tier: &str, cases: &[Case], way: Way) {
    let program = worker::program().unwrap_or_else(|error| panic!("{error}"));
    let (mode, heap) = match way {
        Way::Executed | Way::Forked => (Mode::Stateless, HeapUse::Discard),
        Way::KeepingHeaps => (Mode::Stateful, HeapUse::New),
    };
    let arguments = ["--engine-tier", tier, "--mode", mode.name()];
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    let run_all = || {
        let mut zygote = match way {
            Way::Executed | Way::KeepingHeaps => None,
            Way::Forked => {
                Some(Zygote::start(&program, &arguments).unwrap_or_else(|error| panic!("{error}")))
            }
        };
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            let (start, deadline) = (case.start(heap), case.deadline());
            let held = match &mut zygote {
                None => worker::run(&program, &arguments, start, deadline),
                Some(zygote) => worker::run_forked(zygote, start, deadline),
            };
            let found = match held {
                Ok(conversation) => case.differences(&conversation),
                Err(error) => vec![error.to_string()],
            };
            if !found.is_empty() {
                let text = format!("{}\n    {}", case.name, found.join("\n    "));
                failures.lock().expect("nobody panics with it").push(text);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(run_all);
        }
    });
    let mut failures = failures.into_inner().expect("nobody panics with it");
    failures.sort();
    assert!(
        failures.is_empty(),
        "{tier}: {} of {} cases failed:\n\n{}\n",
        failures.len(),
        cases.len(),
        failures.join("\n")
    );
}
