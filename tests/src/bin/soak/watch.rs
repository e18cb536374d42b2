//! What the servers take and show, looked at again and again.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use e2e::http::Client;
use e2e::processes::{self, Usage};
use nix::unistd::Pid;
use serde_json::{Map, Value, json};

use crate::client::{Wrong, ask, ensure};
use crate::clock::Clock;
use crate::faults::Faults;
use crate::scene::Served;
use crate::trend::Trend;

/// Looks in all, where there is time for them.
const LOOKS: u32 = 200;
/// The least pause between two.
const PAUSE_MIN: Duration = Duration::from_millis(500);
/// How long a server may take to come to rest when nobody asks any more: its longest limits have passed by
/// then.
const REST_MAX: Duration = Duration::from_secs(90);
/// Connections that may be open at rest: that of who looks, and those that it keeps to use again.
const CONNECTIONS_AT_REST: f64 = 4.0;

/// Gauges that are zero at rest.
const ZERO_AT_REST: [&str; 5] = [
    "mcp_v8_executions_running",
    "mcp_v8_executions_queued",
    "mcp_v8_pool_executions_waiting",
    "mcp_v8_store_writes_queued",
    "mcp_v8_fetch_exchanges_open",
];

/// What may be more in the last third of the time than in the first.
mod growth {
    /// Memory of the server: caches of the database and of the allocator.
    pub(super) const RESIDENT_BYTES: f64 = (32 << 20) as f64;
    /// And for each execution: less than what any of them is made of.
    pub(super) const RESIDENT_BYTES_EACH: f64 = 256.0;
    /// Descriptors: four for each worker that happens to be there, and one for each connection.
    pub(super) const DESCRIPTORS: f64 = 40.0;
    pub(super) const THREADS: f64 = 8.0;
    pub(super) const CHILDREN: f64 = 6.0;
    /// The database, with its journal.
    pub(super) const DATABASE_BYTES: f64 = (16 << 20) as f64;
    /// And for each execution: its entry in a session, which is kept for good.
    pub(super) const DATABASE_BYTES_EACH: f64 = 1024.0;
    /// Heaps: what honest tenants leave is the same again and again, hostile ones have a quota.
    pub(super) const HEAP_BYTES: f64 = (16 << 20) as f64;
    /// Executions and requests that are under way.
    pub(super) const UNDER_WAY: f64 = 20.0;
    /// Connections.
    pub(super) const CONNECTIONS: f64 = 40.0;
}

/// What is looked at, by name, and what it may grow by; and by how much more for each execution.
const WATCHED: [(&str, f64, f64); 11] = [
    (
        "resident_bytes",
        growth::RESIDENT_BYTES,
        growth::RESIDENT_BYTES_EACH,
    ),
    ("descriptors", growth::DESCRIPTORS, 0.0),
    ("threads", growth::THREADS, 0.0),
    ("children", growth::CHILDREN, 0.0),
    (
        "database_bytes",
        growth::DATABASE_BYTES,
        growth::DATABASE_BYTES_EACH,
    ),
    ("heap_bytes", growth::HEAP_BYTES, 0.0),
    ("executions_running", growth::UNDER_WAY, 0.0),
    ("executions_queued", growth::UNDER_WAY, 0.0),
    ("fetch_exchanges_open", growth::UNDER_WAY, 0.0),
    ("fetch_connections_open", growth::CONNECTIONS, 0.0),
    ("http_connections", growth::CONNECTIONS, 0.0),
];

/// One look: a value of each of [`WATCHED`].
type Look = [f64; WATCHED.len()];

/// The figures of a server at a moment.
struct Figures(String);

impl Figures {
    fn of(operator: &Client) -> Result<Self, Wrong> {
        let answer = ask(operator, "GET", "/metrics", &Value::Null)?;
        ensure(answer.status == 200, "there are no figures", &answer.body)?;
        Ok(Self(answer.body))
    }

    fn value(&self, series: &str) -> Option<f64> {
        let mut lines = self.0.lines();
        let value = lines.find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
        value.parse().ok()
    }
}

/// Who looks at one server.
pub(crate) struct Watch {
    name: &'static str,
    pid: Pid,
    heaps: Option<PathBuf>,
    /// With an operator's token.
    operator: Client,
    looks: Vec<Look>,
}

impl Watch {
    pub(crate) fn new(served: &Served, operator: &str) -> Self {
        Self {
            name: served.name,
            pid: served.server.process.pid(),
            heaps: served.heaps.clone(),
            operator: served.server.with_token(operator),
            looks: Vec::new(),
        }
    }

    /// Looks until the end.
    pub(crate) fn work(mut self, clock: &Clock, faults: &Faults) -> Self {
        let pause = (clock.length() / LOOKS).max(PAUSE_MIN);
        while clock.goes_on() {
            let begun = Instant::now();
            match self.look() {
                Ok(look) => self.looks.push(look),
                Err(wrong) => {
                    let fault = format!("the figures of {}: {wrong}", self.name);
                    faults.note_since(begun, clock, &fault);
                }
            }
            clock.pause(pause);
        }
        self
    }

    fn look(&self) -> Result<Look, Wrong> {
        let usage = self.usage()?;
        let figures = Figures::of(&self.operator)?;
        let shown = |name: &str| figures.value(&format!("mcp_v8_{name}")).unwrap_or(f64::NAN);
        Ok(WATCHED.map(|(name, _, _)| match name {
            "resident_bytes" => usage.resident_bytes as f64,
            "descriptors" => usage.descriptors as f64,
            "threads" => usage.threads as f64,
            "children" => usage.children as f64,
            "heap_bytes" => self.heaps.as_deref().map_or(0, bytes_in) as f64,
            "database_bytes" => shown("store_database_bytes"),
            other => shown(other),
        }))
    }

    fn usage(&self) -> Result<Usage, Wrong> {
        let pid = self.pid;
        let is_there = fs::metadata(format!("/proc/{pid}/fd")).is_ok();
        ensure(is_there, "the server is gone", self.name)?;
        Ok(processes::usage(pid))
    }

    /// Waits until nothing is under way, and says what still is when that does not come.
    pub(crate) fn rest(&self, faults: &Faults) {
        let mut busy = Vec::new();
        let came = processes::within(REST_MAX, || {
            thread::sleep(PAUSE_MIN);
            busy = match Figures::of(&self.operator) {
                Ok(figures) => busy_gauges(&figures),
                Err(wrong) => vec![wrong.to_string()],
            };
            busy.is_empty()
        });
        if !came {
            let name = self.name;
            faults.note(&format!(
                "{name} does not come to rest: {}",
                busy.join(", ")
            ));
        }
        match ask(&self.operator, "GET", "/readyz", &Value::Null) {
            Ok(answer) if answer.status == 200 => {}
            Ok(answer) => faults.note(&format!("it is not ready at the end: {}", answer.body)),
            Err(wrong) => faults.note(&format!("readiness: {wrong}")),
        }
    }

    /// What became of each figure, with the executions that there were.
    pub(crate) fn judge(&self, executions: usize, faults: &Faults) -> Value {
        let mut report = Map::new();
        for (at, (name, allowed, each)) in WATCHED.into_iter().enumerate() {
            let samples: Vec<f64> = self.looks.iter().map(|look| look[at]).collect();
            let allowed = allowed + each * executions as f64;
            let Some(trend) = Trend::of(&samples, allowed) else {
                report.insert(name.to_owned(), json!({"last": samples.last()}));
                continue;
            };
            if trend.leaks() {
                let fault = format!(
                    "{}: {name} has grown by {}, and {allowed} are allowed",
                    self.name,
                    trend.growth()
                );
                faults.note(&fault);
            }
            report.insert(name.to_owned(), trend.json());
        }
        Value::Object(report)
    }
}

fn busy_gauges(figures: &Figures) -> Vec<String> {
    let zero = ZERO_AT_REST.map(|name| (name, 0.0));
    let all = zero
        .into_iter()
        .chain([("mcp_v8_http_connections", CONNECTIONS_AT_REST)]);
    all.filter_map(|(name, most)| {
        let value = figures.value(name);
        let is_at_rest = value.is_some_and(|value| value <= most);
        (!is_at_rest).then(|| format!("{name} is {value:?}"))
    })
    .collect()
}

/// What the files beneath a directory take.
fn bytes_in(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(about) if about.is_dir() => bytes_in(&entry.path()),
        Ok(about) => about.len(),
        Err(_) => 0,
    });
    sizes.sum()
}
