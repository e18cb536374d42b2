//! The load table of the README is that of the recorded run, `docs/bench/http.json`.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The columns: title, kind of server, and how clients come to a result.
const COLUMNS: [(&str, &str, &str); 4] = [
    ("Stateless, `wait_ms`", "stateless", "wait"),
    ("Stateless, polling", "stateless", "poll"),
    ("Stateful, `wait_ms`", "stateful", "wait"),
    ("Stateful, polling", "stateful", "poll"),
];

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

/// A figure in milliseconds: with a digit behind the point where that is worth something.
fn millis(figure: &Value) -> String {
    let figure = figure.as_f64().expect("a figure");
    match figure < 10.0 {
        true => format!("{figure:.1}"),
        false => format!("{figure:.0}"),
    }
}

/// What a load came to: completed a second; latency p50, p95, p99.
fn cell(run: &Value, kind: &str, way: &str, rate: u64) -> String {
    let rates = run["http"][kind]["rates"].as_array().expect("rates");
    let load = rates
        .iter()
        .find(|load| load["way"] == way && load["per_sec"] == rate)
        .unwrap_or_else(|| panic!("no load of {rate} a second on a {kind} server, {way}"));
    let outcome = &load["outcome"];
    let goodput = outcome["goodput_per_sec"].as_f64().expect("a figure");
    let latency = ["p50", "p95", "p99"].map(|name| millis(&outcome["latency_ms"][name]));
    format!("{goodput:.0}; {}", latency.join(", "))
}

fn table(run: &Value) -> String {
    let titles = COLUMNS.map(|(title, _, _)| title).join(" | ");
    let mut table = format!("| Asked a second | {titles} |\n|---|---|---|---|---|\n");
    for rate in [100, 200, 500, 1000] {
        let cells = COLUMNS.map(|(_, kind, way)| cell(run, kind, way, rate));
        let _ = writeln!(table, "| {rate} | {} |", cells.join(" | "));
    }
    table
}

#[test]
fn the_load_table_is_that_of_the_recorded_run() {
    let run = fs::read_to_string(path("docs/bench/http.json")).expect("the recorded run");
    let run: Value = serde_json::from_str(&run).expect("JSON");
    assert_eq!(run["http"]["seconds_of_each_load"], 60.0);
    let readme = fs::read_to_string(path("README.md")).expect("README.md");
    let table = table(&run);
    assert!(
        readme.contains(&table),
        "README.md should have this table:\n{table}"
    );
}
