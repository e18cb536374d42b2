//! The load tables of the README are those of the recorded runs, `docs/bench/http.json` and
//! `docs/bench/http-cluster.json`.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// A column: its title, the loads of its kind of server, and how clients come to a result.
type Column<'run> = (&'static str, &'run Value, &'static str);

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

/// A run in which each load took a minute.
fn recorded(name: &str, bench: &str) -> Value {
    let run = fs::read_to_string(path("docs/bench").join(name)).expect("the recorded run");
    let run: Value = serde_json::from_str(&run).expect("JSON");
    assert_eq!(run[bench]["seconds_of_each_load"], 60.0, "{name}");
    run[bench].clone()
}

/// What a load came to: completed a second; latency p50, p95, p99.
fn cell(loads: &Value, way: &str, rate: u64) -> String {
    let rates = loads["rates"].as_array().expect("rates");
    let load = rates
        .iter()
        .find(|load| load["way"] == way && load["per_sec"] == rate)
        .unwrap_or_else(|| panic!("no load of {rate} a second, {way}"));
    let outcome = &load["outcome"];
    let goodput = outcome["goodput_per_sec"].as_f64().expect("a figure");
    let latency = ["p50", "p95", "p99"].map(|name| millis(&outcome["latency_ms"][name]));
    format!("{goodput:.0}; {}", latency.join(", "))
}

fn check(columns: [Column<'_>; 4]) {
    let titles = columns.map(|(title, _, _)| title).join(" | ");
    let mut table = format!("| Asked a second | {titles} |\n|---|---|---|---|---|\n");
    for rate in [100, 200, 500, 1000] {
        let cells = columns.map(|(_, loads, way)| cell(loads, way, rate));
        let _ = writeln!(table, "| {rate} | {} |", cells.join(" | "));
    }
    let readme = fs::read_to_string(path("README.md")).expect("README.md");
    assert!(
        readme.contains(&table),
        "README.md should have this table:\n{table}"
    );
}

#[test]
fn the_load_table_is_that_of_the_recorded_run() {
    let run = recorded("http.json", "http");
    let (stateless, stateful) = (&run["stateless"], &run["stateful"]);
    check([
        ("Stateless, `wait_ms`", stateless, "wait"),
        ("Stateless, polling", stateless, "poll"),
        ("Stateful, `wait_ms`", stateful, "wait"),
        ("Stateful, polling", stateful, "poll"),
    ]);
}

#[test]
fn the_load_table_of_a_cluster_is_that_of_the_recorded_runs() {
    let (one, three) = (
        recorded("http.json", "http"),
        recorded("http-cluster.json", "http_cluster"),
    );
    let (one, three) = (&one["stateful"], &three["stateful"]);
    check([
        ("One server, `wait_ms`", one, "wait"),
        ("Three nodes, `wait_ms`", three, "wait"),
        ("One server, polling", one, "poll"),
        ("Three nodes, polling", three, "poll"),
    ]);
}
