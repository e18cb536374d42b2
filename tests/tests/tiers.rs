//! Tiers of the engine in the real server: what of its memory a worker may execute.

#![allow(clippy::print_stderr, reason = "a test says what it skips")]

use std::fs;

use e2e::home::Home;
use nix::unistd::geteuid;
use serde_json::json;

/// Runs hot code and expressions, says so, and goes on.
const BUSY: &str = "
    function add(a, b) { return a + b }
    let sum = 0;
    for (let i = 0; i < 1e6; i++) sum = add(sum, i) % 1000;
    for (let i = 0; i < 1000; i++) /(a|b)*c/.test('abab' + i);
    console.log('hot');
    for (;;) sum = add(sum, 1) % 1000;";

/// The lines of a process's memory that can be executed, and come from no file.
fn executable(pid: i32) -> Vec<String> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    let is_made = |line: &&str| {
        let mut fields = line.split_whitespace().skip(1);
        let is_executable = fields.next().is_some_and(|access| access.contains('x'));
        // What the kernel maps has a name in brackets.
        let name = fields.nth(3).unwrap_or_default();
        is_executable && (name.is_empty() || name.starts_with("[anon"))
    };
    maps.lines().filter(is_made).map(str::to_owned).collect()
}

#[test]
fn no_memory_of_a_jitless_worker_can_be_executed_but_its_program() {
    if !geteuid().is_root() {
        eprintln!("SKIPPED: only root sees the memory of a process that is not dumpable");
        return;
    }
    for way in ["exec", "zygote"] {
        for (tier, makes_code) in [("jit", true), ("baseline", true), ("jitless", false)] {
            let home = Home::new();
            let mut server = home.start_with(&["--worker-start", way, "--engine-tier", tier]);
            let webassembly = if makes_code { "object" } else { "undefined" };
            assert_eq!(server.run("typeof WebAssembly")["result"], webassembly);
            let id = server.submit(BUSY);
            server.until_output(&id, 4);
            // The one that runs, and those that are parked; and what forks them.
            let processes = home.processes();
            assert!(!processes.is_empty(), "{way} {tier}");
            let found: Vec<String> = processes
                .iter()
                .filter(|entry| entry.pid != server.pid().as_raw())
                .flat_map(|entry| executable(entry.pid))
                .collect();
            assert_eq!(!found.is_empty(), makes_code, "{way} {tier}: {found:?}");
            server.call("cancel_execution", json!({"execution_id": id}));
            server.finish();
        }
    }
}
