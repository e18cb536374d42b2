//! Measures the server and its workers, each figure beside its floor from the same run, and prints
//! one JSON object. `scripts/bench` builds what it needs and runs it. With `--check` it ends with 1
//! when a target is missed, with `--compare FILE` with 3 when a figure is much worse than in that earlier
//! report, and with 65 when the two cannot be compared. The first word says what is measured, and nothing else:
//!
//! * `http`: the API under load, each load for 60 seconds, or as many as `--seconds` says;
//! * `http-cluster`: the same of three nodes of a cluster;
//! * `tenants`: a tenant that wants little beside one that floods;
//! * `k6` and its program: our client beside that;
//! * `heaps`: executions that keep their heaps;
//! * `fetch`: requests of scripts over HTTP;
//! * `console`: console output on its way through;
//! * `web`: what the classes of fetch cost a worker;
//! * `scale`: what executions cost where much is stored, and how long a server takes to start;
//! * `cluster`: changes in three nodes, each load for 5 seconds, or as many as `--seconds` says.
//!
//! The floor is that of this runtime: all web globals are in it, the script is run as any script is (the
//! value of its last statement, awaited, looked at for a preview), and all CPU time is counted, that of
//! the fork in the parent and of the teardown too. The 0.9 ms of the first studies were those of a bare
//! `deno_core` runtime, which maps less and does less: see [`floor::Fork`] for how much is the fork's.

mod cluster;
mod compare;
mod console;
mod fetch;
mod floor;
mod heaps;
mod hot;
mod http;
mod processors;
mod scale;
mod server;
mod statistics;
mod stress;
mod talk;
mod target;
mod web;
mod worker;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};

use crate::compare::{Change, Incomparable};
use crate::floor::{Fork, Isolate};
use crate::server::Measured;
use crate::statistics::ratio;
use crate::target::Target;
use crate::worker::Worker;

/// Measures the API under load, and nothing else.
const HTTP: &str = "http";
/// Measures the API of three nodes of a cluster under load, and nothing else.
const HTTP_CLUSTER: &str = "http-cluster";
/// Measures executions that keep their heaps, and nothing else.
const HEAPS: &str = "heaps";
/// Measures requests of scripts over HTTP, and nothing else.
const FETCH: &str = "fetch";
/// Measures what the server adds to a request for which a worker is ready, and nothing else.
const HOT: &str = "hot";
/// Measures a tenant beside another that floods, and nothing else.
const TENANTS: &str = "tenants";
/// Measures our client beside k6, whose program follows, and nothing else.
const K6: &str = "k6";
/// Measures what executions cost where much is stored, and nothing else.
const SCALE: &str = "scale";
/// Measures console output on its way through, and nothing else.
const CONSOLE: &str = "console";
/// Measures what the classes of fetch cost a worker, and nothing else.
const WEB: &str = "web";
/// Measures three nodes of a cluster, and nothing else.
const CLUSTER: &str = "cluster";
/// Ends with an error when a target is missed.
const CHECK: &str = "--check";
/// Ends with an error when a figure is much worse than in the report that follows.
const COMPARE: &str = "--compare";
/// How long each load takes, in seconds.
const SECONDS: &str = "--seconds";
/// The same where nobody says.
const SECONDS_DEFAULT: u64 = 60;
/// The same for a cluster.
const CLUSTER_SECONDS_DEFAULT: u64 = 5;

/// What is asked for.
struct Arguments {
    subject: Subject,
    is_check: bool,
    /// The report of an earlier run.
    baseline: Option<PathBuf>,
}

/// What is measured.
enum Subject {
    /// The API under load, each load for so long.
    Http(Duration),
    /// The same of three nodes.
    HttpCluster(Duration),
    Tenants,
    /// By this program.
    K6(PathBuf),
    Heaps,
    Hot,
    Fetch,
    Console,
    Web,
    /// Three nodes, each load for so long.
    Cluster(Duration),
    Scale,
    /// Everything but the API and requests of scripts.
    Everything,
}

impl Arguments {
    fn read(words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut words = words.peekable();
        let alone = [
            HTTP,
            HTTP_CLUSTER,
            TENANTS,
            K6,
            HEAPS,
            HOT,
            FETCH,
            CONSOLE,
            WEB,
            SCALE,
            CLUSTER,
        ];
        let first = words.next_if(|word| alone.contains(&word.as_str()));
        let mut subject = match first.as_deref() {
            Some(HTTP) => Subject::Http(Duration::from_secs(SECONDS_DEFAULT)),
            Some(HTTP_CLUSTER) => Subject::HttpCluster(Duration::from_secs(SECONDS_DEFAULT)),
            Some(TENANTS) => Subject::Tenants,
            Some(K6) => Subject::K6(words.next().unwrap_or_default().into()),
            Some(HEAPS) => Subject::Heaps,
            Some(HOT) => Subject::Hot,
            Some(CONSOLE) => Subject::Console,
            Some(WEB) => Subject::Web,
            Some(CLUSTER) => Subject::Cluster(Duration::from_secs(CLUSTER_SECONDS_DEFAULT)),
            Some(SCALE) => Subject::Scale,
            Some(_) => Subject::Fetch,
            None => Subject::Everything,
        };
        let (mut is_check, mut baseline) = (false, None);
        while let Some(word) = words.next() {
            let next = words.peek().and_then(|word| word.parse().ok());
            match (word.as_str(), next, &mut subject) {
                (CHECK, _, _) => is_check = true,
                (COMPARE, _, _) if words.peek().is_some() => {
                    baseline = words.next().map(PathBuf::from);
                }
                (
                    SECONDS,
                    Some(given @ 1..),
                    Subject::Http(time) | Subject::HttpCluster(time) | Subject::Cluster(time),
                ) => {
                    *time = Duration::from_secs(given);
                    words.next();
                }
                _ => {
                    let usage = format!(
                        "[{HTTP} [{SECONDS} N] | {HTTP_CLUSTER} [{SECONDS} N] | {TENANTS} | {K6} PROGRAM | {HEAPS} | {HOT} | {FETCH} | {CONSOLE} | {WEB} | {SCALE} | {CLUSTER} [{SECONDS} N]] [{CHECK}] [{COMPARE} FILE]"
                    );
                    return Err(format!("{usage}; found: {word}"));
                }
            }
        }
        Ok(Self {
            subject,
            is_check,
            baseline,
        })
    }
}

/// How it ends: a target is missed.
const MISSED: u8 = 1;
/// A figure is much worse than in the earlier report.
const WORSE: u8 = 3;
/// It was called wrongly (`EX_USAGE` of sysexits.h).
const USAGE: u8 = 64;
/// The runs cannot be compared (`EX_DATAERR`).
const INCOMPARABLE: u8 = 65;

fn main() -> ExitCode {
    let arguments = match Arguments::read(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(usage) => return fail(USAGE, &usage),
    };
    let baseline = arguments.baseline.as_deref().map(compare::read);
    let baseline = match baseline.transpose() {
        Ok(baseline) => baseline,
        Err(why) => return fail(INCOMPARABLE, &why.to_string()),
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (mut report, targets, changes) = match baseline {
        None => {
            let (report, targets) = arguments.subject.measure(cores);
            (report, targets, Ok(Vec::new()))
        }
        Some(before) => measure_beside(&before, || arguments.subject.measure(cores)),
    };
    if let Ok(changes) = &changes
        && !changes.is_empty()
    {
        report["compared"] = json!(changes);
    }
    if let Err(error) = writeln!(std::io::stdout(), "{report:#}") {
        return fail(
            INCOMPARABLE,
            &format!("the report cannot be written: {error}"),
        );
    }
    match changes {
        Err(why) => fail(INCOMPARABLE, &why.to_string()),
        Ok(changes) => judge(arguments.is_check, &targets, &changes),
    }
}

/// Measures, and once more where a figure is worse than before: a machine that others share is slow now and then. The
/// report is the last; of each figure the better of both counts.
fn measure_beside(
    before: &[Target],
    measure: impl Fn() -> (Value, Vec<Target>),
) -> (Value, Vec<Target>, Result<Vec<Change>, Incomparable>) {
    let (report, targets) = measure();
    let first = match compare::compare(before, &targets) {
        Ok(first) if first.iter().any(|change| change.is_regression) => first,
        changes => return (report, targets, changes),
    };
    let worse = worse(&first).join("; ");
    let _told = writeln!(std::io::stderr(), "{worse}. Measuring once more");
    let (report, targets) = measure();
    let again = compare::compare(before, &targets);
    let better = again.map(|again| compare::better_of(first, again));
    (report, targets, better)
}

/// What is worse, for people.
fn worse(changes: &[Change]) -> Vec<String> {
    let worse = changes.iter().filter(|change| change.is_regression);
    worse
        .map(|change| format!("{} times worse: {}", change.times_worse, change.what))
        .collect()
}

/// How it ends.
fn judge(is_check: bool, targets: &[Target], changes: &[Change]) -> ExitCode {
    let worse = worse(changes);
    let missed = targets
        .iter()
        .filter(|target| is_check && !target.is_met)
        .map(|target| format!("missed: {}", target.what));
    let missed: Vec<String> = missed.collect();
    let how = match (&*worse, &*missed) {
        ([], []) => return ExitCode::SUCCESS,
        ([], _) => MISSED,
        _ => WORSE,
    };
    fail(how, &[worse, missed].concat().join("\n"))
}

fn fail(how: u8, why: &str) -> ExitCode {
    let _told = writeln!(std::io::stderr(), "{why}");
    ExitCode::from(how)
}

impl Subject {
    /// Measures it: the report, and its figures with a target, which are in it too.
    fn measure(&self, cores: usize) -> (Value, Vec<Target>) {
        match self {
            Self::Http(time) => on_the_api("http", http::measure(*time, cores), cores),
            Self::HttpCluster(time) => {
                on_the_api("http_cluster", http::cluster::measure(*time, cores), cores)
            }
            Self::Tenants => on_the_api("tenants", http::tenants::measure(), cores),
            Self::K6(program) => on_the_api("beside_k6", http::k6::measure(program), cores),
            Self::Heaps => heaps_alone(cores),
            Self::Hot => hot_alone(cores),
            Self::Fetch => fetch_alone(cores),
            Self::Console => alone("console", console::measure(), cores),
            Self::Web => web_alone(cores),
            Self::Cluster(time) => alone("cluster", cluster::measure(*time), cores),
            Self::Scale => on_the_api("scale", scale::measure(), cores),
            Self::Everything => all(cores),
        }
    }
}

/// A part alone: what was measured of it, and its figures with a target.
fn alone(
    what: &str,
    (measured, targets): (Value, Vec<Target>),
    cores: usize,
) -> (Value, Vec<Target>) {
    let report = json!({
        "targets": targets,
        "machine": machine(cores),
        what: measured,
    });
    (report, targets)
}

/// Clients of the API.
fn on_the_api(what: &str, measured: http::Measured, cores: usize) -> (Value, Vec<Target>) {
    alone(what, (measured.report, measured.targets), cores)
}

/// Executions that keep their heaps.
fn heaps_alone(cores: usize) -> (Value, Vec<Target>) {
    let stateful = heaps::measure(cores);
    alone("stateful", (stateful.json(), stateful.targets()), cores)
}

/// Requests for which a worker is ready.
fn hot_alone(cores: usize) -> (Value, Vec<Target>) {
    let hot = hot::measure();
    alone("hot_request", (hot.json(), vec![hot.target()]), cores)
}

/// Requests of scripts over HTTP.
fn fetch_alone(cores: usize) -> (Value, Vec<Target>) {
    let report = json!({
        "machine": machine(cores),
        "fetch": fetch::measure(),
    });
    (report, Vec::new())
}

/// What the classes of fetch cost a worker.
fn web_alone(cores: usize) -> (Value, Vec<Target>) {
    let report = json!({
        "machine": machine(cores),
        "web": web::measure(),
    });
    (report, Vec::new())
}

/// Everything but the API and requests of scripts.
fn all(cores: usize) -> (Value, Vec<Target>) {
    let fork = floor::warm_fork();
    let isolate = floor::isolate();
    let forked = worker::forked();
    let executed = worker::executed();
    let hot = hot::measure();
    let zygote = server::measure("zygote", cores);
    let exec = server::measure("exec", cores);
    let burst = stress::burst();
    let overshoot = stress::overshoot();
    let stateful = heaps::measure(cores);
    let mut targets = vec![
        hot.target(),
        Target::at_most(
            "CPU time of fork server and worker for an execution, times the floor",
            ratio(forked.cpu.mean_ms(), fork.cpu.mean_ms()).unwrap_or(f64::NAN),
            1.7,
        ),
        Target::at_most(
            "CPU time of server, fork server and worker for an execution at saturation, in ms",
            zygote.at_saturation.cpu_ms_each(),
            2.5,
        )
        .beside(fork.cpu.mean_ms()),
        Target::at_least(
            "executions completed a second with four times as many at once as keep all slots busy, of those with that many",
            ratio(zygote.at_overload.per_sec, zygote.at_saturation.per_sec).unwrap_or(f64::NAN),
            0.9,
        ),
        Target::below(
            "memory of a parked worker (PSS), in bytes",
            forked.parked_bytes.map_or(f64::NAN, |bytes| bytes as f64),
            15e6,
        ),
        Target::below(
            "memory of an idle server (PSS), in bytes",
            zygote.idle_bytes.map_or(f64::NAN, |bytes| bytes as f64),
            60e6,
        ),
        Target::at_most(
            "errors of bursts with nothing ready",
            burst.errors as f64,
            0.0,
        ),
        // Who gets a processor when, with ten that want one: the scheduler's, and not the floor's.
        Target::below(
            "end of scripts that do not end, behind their deadline, p99, in ms",
            overshoot.p99_ms(),
            50.0,
        )
        .varying(2.0),
    ];
    targets.extend(stateful.targets());
    let report = json!({
        "targets": targets,
        "machine": machine(cores),
        "floor": fork.json(),
        "zygote_path": path(&forked, &fork, &isolate),
        "exec_path": path(&executed, &fork, &isolate),
        "parked_worker_bytes": beside(
            json!(forked.parked_bytes),
            bytes(forked.parked_bytes),
            json!({
                "what": "a bare isolate that is ready (PSS, as many of them at once)",
                "value": isolate.parked_bytes,
            }),
            bytes(isolate.parked_bytes),
        ),
        "hot_request": hot.json(),
        "server_with_fork_server": served(&zygote, &fork, &isolate),
        "server_with_exec": served(&exec, &fork, &isolate),
        "stateful": stateful.json(),
        "burst_with_nothing_ready": burst,
        "deadline_overshoot_ms": overshoot.json(),
        "idle_server_bytes": zygote.idle_bytes,
        "floors": {
            "process_exec_exit_ms": floor::process().json(),
            "worker_version_exec_exit_ms": floor::worker_version().json(),
            "bare_isolate_exec_until_ready_ms": isolate.start.json(),
            "bare_isolate_exec_exit_ms": isolate.life.json(),
            "processes_per_sec": floor::processes_per_sec(cores),
            "bare_isolates_per_sec": floor::isolates_per_sec(cores),
        },
    });
    (report, targets)
}

fn machine(cores: usize) -> Value {
    json!({"cores": cores, "cpu": cpu(), "kernel": kernel()})
}

/// One worker after another, from its start to its reaped end.
fn path(worker: &Worker, fork: &Fork, isolate: &Isolate) -> Value {
    json!({
        "start_to_hello_ms": worker.start.json(),
        "request_ms": beside(
            worker.request.json(),
            worker.request.p50_ms(),
            bare_request(isolate),
            isolate.request.p50_ms(),
        ),
        "cpu_ms": beside(
            worker.cpu.json(),
            worker.cpu.mean_ms(),
            json!({"what": "CPU time of the floor", "mean": fork.cpu.mean_ms()}),
            fork.cpu.mean_ms(),
        ),
    })
}

/// Executions through the whole server.
fn served(server: &Measured, fork: &Fork, isolate: &Isolate) -> Value {
    json!({
        "end_to_end_ms": beside(
            server.latency.json(),
            server.latency.p50_ms(),
            bare_request(isolate),
            isolate.request.p50_ms(),
        ),
        "at_saturation": beside(
            json!(server.at_saturation),
            server.at_saturation.cpu_ms_each(),
            json!({"what": "CPU time of the floor", "mean": fork.cpu.mean_ms()}),
            fork.cpu.mean_ms(),
        ),
        "at_4x_overload": beside(
            json!(server.at_overload),
            server.at_overload.per_sec,
            json!({"what": "executions a second at saturation", "value": server.at_saturation.per_sec}),
            server.at_saturation.per_sec,
        ),
    })
}

fn bare_request(isolate: &Isolate) -> Value {
    json!({
        "what": "1 + 1 in a bare isolate that is ready, over the same kind of pipes",
        "value": isolate.request.json(),
    })
}

/// A figure, its floor, and how many times the floor it is.
fn beside(value: Value, number: f64, floor: Value, floor_number: f64) -> Value {
    json!({"value": value, "floor": floor, "ratio": ratio(number, floor_number)})
}

fn bytes(bytes: Option<u64>) -> f64 {
    bytes.unwrap_or_default() as f64
}

fn cpu() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn kernel() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
    Some(text.trim().to_owned())
}
