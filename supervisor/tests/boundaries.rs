//! Which part of this crate may name what: the invariants of the README that no type can hold.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};

/// Every source file, by its path beneath `src`, without its tests.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut directories: Vec<PathBuf> = vec![root.clone()];
    let mut found = Vec::new();
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                directories.push(path);
            } else if is_source(&path) {
                let text = fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
                let name = path.strip_prefix(&root).unwrap().display().to_string();
                found.push((name, code.to_owned()));
            }
        }
    }
    assert!(found.len() > 50, "these are not the sources: {found:?}");
    found
}

/// Whether a file is Rust, and not one of tests.
fn is_source(path: &Path) -> bool {
    let name = path.to_string_lossy();
    name.ends_with(".rs") && !name.ends_with("tests.rs")
}

/// Asserts that only files beneath these directories name one of these words, and that there is one.
fn only_in(directories: &[&str], words: &[&str]) {
    let mut is_used = false;
    for (name, code) in sources() {
        let is_home = directories.iter().any(|home| name.starts_with(home));
        let used = words.iter().find(|word| code.contains(*word));
        is_used |= is_home && used.is_some();
        assert!(is_home || used.is_none(), "{name} names {used:?}");
    }
    assert!(is_used, "nobody names any of {words:?}");
}

#[test]
fn only_mcp_knows_the_wire_format_of_mcp() {
    only_in(&["mcp/"], &["rmcp::"]);
    only_in(
        &["mcp/", "main.rs", "reload.rs"],
        &["crate::mcp", "mcp_v8::mcp"],
    );
}

#[test]
fn only_transports_know_http() {
    only_in(&["cluster/", "http/", "mcp/"], &["axum::", "hyper::server"]);
    only_in(&["mcp/http/"], &["streamable_http_server"]);
}

#[test]
fn only_the_replicated_log_knows_consensus() {
    only_in(&["raft/"], &["raft::eraftpb", "RawNode", "slog::"]);
}

#[test]
fn only_what_nodes_say_to_each_other_has_bytes_of_that_kind() {
    only_in(
        &[
            "raft/",
            "app/question.rs",
            "cluster/heaps/words.rs",
            "store/record.rs",
        ],
        &["bincode::"],
    );
}

#[test]
fn the_replicated_log_knows_nothing_of_clients() {
    let users = [
        "app::",
        "api::",
        "http::",
        "mcp::",
        "execution::",
        "store::",
    ];
    for (name, code) in sources() {
        let used = users
            .iter()
            .find(|user| code.contains(&format!("crate::{user}")));
        assert!(
            !name.starts_with("raft/") || used.is_none(),
            "{name} names {used:?}"
        );
    }
}

#[test]
fn what_lies_between_nodes_knows_nothing_of_clients() {
    let users = ["app::", "api::", "mcp::", "execution::", "config::"];
    for (name, code) in sources() {
        let used = users
            .iter()
            .find(|user| code.contains(&format!("crate::{user}")));
        assert!(
            !name.starts_with("cluster/") || used.is_none(),
            "{name} names {used:?}"
        );
    }
}

#[test]
fn only_what_clients_see_can_be_serialised() {
    // They read, but for the shapes that nodes show each other, and for the last, which is told values by
    // slog's trait of that name.
    let readers = [
        "audit/",
        "auth/",
        "cluster/routes/shapes.rs",
        "config/wasm_config.rs",
        "quota/",
        "raft/logger.rs",
    ];
    only_in(
        &[&["api/", "http/rest/", "mcp/"][..], &readers].concat(),
        &["serde::", "Serialize"],
    );
    only_in(&["api/"], &["schemars::"]);
}

#[test]
fn only_the_transport_writes_to_standard_output() {
    only_in(
        &["mcp/stdio/", "main.rs", "errand/"],
        &["stdout()", "println!", "print!("],
    );
}

#[test]
fn only_metrics_and_the_page_that_shows_them_know_the_registry() {
    only_in(
        &["metrics/", "http/metrics.rs"],
        &["prometheus_client::registry"],
    );
}

#[test]
fn only_telemetry_knows_the_library_of_traces() {
    only_in(
        &["telemetry/"],
        &[
            "opentelemetry::",
            "opentelemetry_otlp::",
            "opentelemetry_sdk::",
        ],
    );
}
