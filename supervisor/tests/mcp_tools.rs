//! The tools as clients list them, against a checked-in copy: nobody changes the contract by
//! accident. `UPDATE_SNAPSHOTS=1` writes it anew.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use crate::support::assert_snapshot;
use mcp_v8::app::Mode;
use mcp_v8::mcp::{Defaults, ToolList};
use serde_json::Value;

/// The longest description that every client passes on, in bytes.
const DESCRIPTION_BYTES_MAX: usize = 2048;

const SNAPSHOTS: [(Mode, &str); 2] = [
    (Mode::Stateful, "tests/snapshots/tools.json"),
    (Mode::Stateless, "tests/snapshots/tools-stateless.json"),
];

fn tools(mode: Mode) -> Value {
    let defaults = Defaults {
        heap_memory_max_mb: 8,
        execution_timeout_secs: 30,
    };
    serde_json::to_value(ToolList::new(defaults, mode).all()).unwrap()
}

#[test]
fn the_tools_are_those_of_the_snapshots() {
    for (mode, path) in SNAPSHOTS {
        let now = format!("{:#}\n", tools(mode));
        assert_snapshot(path, "the tools differ", &now);
    }
}

#[test]
fn schemas_are_plain_objects_that_every_client_understands() {
    let all = SNAPSHOTS.map(|(mode, _)| tools(mode));
    for tool in all.iter().flat_map(|tools| tools.as_array().unwrap()) {
        let name = &tool["name"];
        assert!(
            tool["description"].as_str().unwrap().len() <= DESCRIPTION_BYTES_MAX,
            "{name}"
        );
        assert!(
            tool["title"].is_string() && tool["annotations"]["title"].is_string(),
            "{name}"
        );
        assert_eq!(tool["inputSchema"]["type"], "object", "{name}");
        assert_eq!(tool["inputSchema"]["additionalProperties"], false, "{name}");
        assert_eq!(tool["outputSchema"]["type"], "object", "{name}");
        let text = tool.to_string();
        for clever in [
            "$ref",
            "$defs",
            "anyOf",
            "oneOf",
            "allOf",
            "\"format\"",
            "$schema",
        ] {
            assert!(!text.contains(clever), "{name} uses {clever}: {text}");
        }
        for (parameter, schema) in tool["inputSchema"]["properties"].as_object().unwrap() {
            assert!(schema["description"].is_string(), "{name}.{parameter}");
            assert!(
                schema["type"].is_string(),
                "{name}.{parameter} has one type"
            );
        }
    }
}
