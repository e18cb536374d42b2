//! The policies that are shipped: their own tests, and the vectors that every evaluator of Rego must
//! agree on.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};

use mcp_v8::policy::{Policy, PolicyOptions, check, input};
use regorus::{Engine, Value};
use serde_json::Value as Json;

fn policies() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies")
}

/// The directories with a policy.
fn directories() -> Vec<PathBuf> {
    let mut found = vec![policies()];
    for entry in fs::read_dir(policies().join("examples")).unwrap() {
        found.push(entry.unwrap().path());
    }
    assert!(found.len() >= 4, "{found:?}");
    found
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_tests_of_the_shipped_policies_are_true() {
    for directory in directories() {
        let mut engine = Engine::new();
        engine.set_strict_builtin_errors(false);
        let mut tests = Vec::new();
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.display().to_string();
            if name.ends_with("data.json") {
                engine.add_data_json(&text(&path)).unwrap();
            }
            if !name.ends_with(".rego") {
                continue;
            }
            let text = text(&path);
            let words = text
                .lines()
                .filter_map(|line| line.split([' ', ':']).next());
            let names = words.filter(|word| word.starts_with("test_"));
            tests.extend(names.map(str::to_owned));
            engine.add_policy(name, text.clone()).unwrap();
        }
        assert!(tests.len() >= 4, "{}: {tests:?}", directory.display());
        engine.set_input(Value::new_object());
        for test in tests {
            let rule = format!("data.mcp.fetch_test.{test}");
            let value = engine.eval_rule(rule).unwrap();
            assert_eq!(value, Value::from(true), "{}: {test}", directory.display());
        }
    }
}

#[tokio::test]
async fn the_shipped_policies_decide_the_vectors_as_written() {
    let vectors: Json = serde_json::from_str(&text(&policies().join("vectors.json"))).unwrap();
    let vectors = vectors.as_array().unwrap();
    let mut used = Vec::new();
    for vector in vectors {
        let name = vector["policy"].as_str().unwrap();
        let options = PolicyOptions::Directory(policies().join(name));
        let policy = Policy::open(options).await.unwrap();
        for case in vector["cases"].as_array().unwrap() {
            let document = &case["input"];
            let asked = check::read(document.to_string().as_bytes()).unwrap();
            assert_eq!(&input::document(&asked), document, "{name}");
            let decided = policy.decide(&asked).await;
            let found = (
                decided.is_ok(),
                decided.is_ok_and(|permit| permit.private_addresses),
            );
            let expected = (case["allow"] == true, case["allow_private"] == true);
            assert_eq!(found, expected, "{name}: {document}");
            used.push(expected);
        }
    }
    assert_eq!(vectors.len(), directories().len());
    assert!(used.contains(&(true, false)) && used.contains(&(true, true)));
}
