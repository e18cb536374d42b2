//! Our client beside k6, which many know: the same load on the same server, in turns.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use e2e::home::Home;
use e2e::http::HttpServer;
use serde_json::{Value, json};

use super::load::{self, Arrivals, Load, Place, Way};
use super::snippets::SNIPPETS;
use super::{Measured, Mode, WARM_UP, put, start, stop};
use crate::statistics::{ratio, rounded};
use crate::target::Target;

/// Requests a second: few enough that k6, which takes more of the processors than our client, leaves room.
const RATE: u32 = 50;
/// How long each load takes.
const TIME: Duration = Duration::from_secs(8);
/// How often they take turns.
const ROUNDS: usize = 5;
/// By how much k6 may see more than we do: it needs processors of its own to look.
const MORE_MAX: f64 = 2.0;
/// By how much it may see less.
const LESS_MAX: f64 = 0.8;

/// What each of them saw, in milliseconds.
struct Round {
    ours: Value,
    theirs: Value,
    times: f64,
}

/// Measures with both. `k6` is its program.
pub(crate) fn measure(k6: &Path) -> Measured {
    let home = Home::new();
    let server = start(&home, Mode::Stateless);
    let arrivals = Arrivals::Constant {
        per_sec: f64::from(RATE),
    };
    load::put(
        &[Place::of(&server)],
        Load::new(Way::Wait, arrivals),
        WARM_UP,
    );
    let mut rounds: Vec<Round> = (0..ROUNDS)
        .map(|_| {
            let ours = put(&server, Way::Wait, arrivals, TIME);
            let theirs = by_k6(k6, &home, &server);
            Round {
                times: times(&theirs, ours.latency.p50_ms()),
                ours: ours.latency.json(),
                theirs,
            }
        })
        .collect();
    stop(server);
    rounds.sort_by(|one, other| one.times.total_cmp(&other.times));
    let middle = &rounds[rounds.len() / 2];
    let what = "latency by k6, p50, of that by our client";
    Measured {
        targets: vec![
            Target::at_most(what, middle.times, MORE_MAX),
            Target::at_least(what, middle.times, LESS_MAX),
        ],
        report: json!({
            "per_sec": RATE,
            "times_by_round": rounds.iter().map(|round| round.times).collect::<Vec<_>>(),
            "ours_ms": middle.ours,
            "by_k6_ms": middle.theirs,
        }),
    }
}

fn times(theirs: &Value, ours: f64) -> f64 {
    let theirs = theirs["med"].as_f64().unwrap_or(f64::NAN);
    ratio(theirs, ours).unwrap_or(f64::NAN)
}

/// Has k6 put the load on a server; what it saw, in milliseconds.
fn by_k6(k6: &Path, home: &Home, server: &HttpServer) -> Value {
    let (script, summary) = (home.path("load.js"), home.path("summary.json"));
    fs::write(&script, include_str!("k6.js")).expect("a file in our own directory");
    let scripts = SNIPPETS.map(|snippet| json!({"code": snippet.code, "result": snippet.result}));
    let ran = Command::new(k6)
        .args(["run", "--quiet", "--no-usage-report", "--address", ""])
        .arg("--summary-export")
        .arg(&summary)
        .arg(&script)
        .env("SCRIPTS", json!(scripts).to_string())
        .env("SERVER", server.url(""))
        .env("RATE", RATE.to_string())
        .env("SECONDS", TIME.as_secs().to_string())
        .stdin(Stdio::null())
        .output()
        .expect("k6 runs");
    let told = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "k6: {}; {told}", ran.status);
    let summary = fs::read_to_string(summary).expect("k6 writes it");
    let summary: Value = serde_json::from_str(&summary).expect("JSON");
    let metrics = &summary["metrics"];
    assert_eq!(metrics["checks"]["fails"], 0, "{metrics}");
    let seen = &metrics["http_req_duration"];
    let figures = ["med", "p(95)", "p(99)"].map(|name| {
        let figure = seen[name].as_f64().unwrap_or(f64::NAN);
        (name.to_owned(), json!(rounded(figure)))
    });
    figures.into_iter().collect()
}
