//! Three nodes on this machine: how many changes they make a second, and how long one takes, beside one
//! server, and beside SQLite alone with the same bytes. And how long nobody can change anything after the
//! leader was killed.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use e2e::cluster::{Cluster, Setup, TIMES_DEFAULT};
use e2e::home::{Home, program};
use e2e::http::{Client, HttpServer};
use e2e::server::PATIENCE;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::http::wire::{Connection, post, put};
use crate::statistics::{Distribution, millis, ratio, rounded};
use crate::target::Target;

/// The example of the supervisor's crate.
const FLOOR: &str = "examples/bare_commit";
/// How many clients there are, each with its own connection and one request under way.
const CLIENTS: [usize; 3] = [1, 16, 64];
/// What each tag's text has, in bytes; so does what the floor commits.
const BYTES: usize = 200;
/// Leaders that are killed.
const KILLS: usize = 9;
/// From one change that is tried to the next, while there may be no leader.
const PROBE_PAUSE: Duration = Duration::from_millis(5);
/// How long such a change may take until another one is tried.
const PROBE_PATIENCE: Duration = Duration::from_millis(500);
/// How long nobody may be able to change anything, p50, in milliseconds.
const OUTAGE_MS: f64 = 800.0;
/// How long one client may wait for a change, p50, in milliseconds.
const CHANGE_MS: f64 = 15.0;

/// What is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// The tags of a heap: nothing runs.
    Tag,
    /// A session gets an entry: a script runs, and its heap is kept.
    Run,
}

impl Change {
    const ALL: [Self; 2] = [Self::Tag, Self::Run];

    const fn name(self) -> &'static str {
        match self {
            Self::Tag => "tags_of_a_heap",
            Self::Run => "runs_in_a_session",
        }
    }

    fn request(self, address: SocketAddr, heap: &str, text: &str) -> Vec<u8> {
        match self {
            Self::Tag => {
                let body = json!({"tags": {"text": text}}).to_string();
                put(address, &format!("/api/heaps/{heap}/tags"), &body)
            }
            Self::Run => {
                let body = json!({"code": "1 + 1", "session": "bench", "wait_ms": 50_000});
                post(address, "/api/exec", None, &body.to_string())
            }
        }
    }
}

/// Measures all of it, each load for so long.
pub(crate) fn measure(time: Duration) -> (Value, Vec<Target>) {
    let floor = Home::new();
    let floors = CLIENTS.map(|clients| bare(&floor, clients, time));
    let single = {
        let home = Home::new();
        let mut server = HttpServer::spawn(alone(&home));
        let loads = loads(&[server.address()], &server, &floors, time);
        server.process.signal(Signal::SIGTERM);
        server.process.wait_exit(PATIENCE);
        loads
    };
    let mut cluster = Cluster::start(&Setup {
        times: TIMES_DEFAULT,
        ..Setup::default()
    });
    let nodes: Vec<SocketAddr> = cluster.nodes().iter().map(|node| node.http).collect();
    let three = loads(&nodes, &cluster.client("a"), &floors, time);
    let outages = outages(&mut cluster);
    cluster.finish();
    let targets = vec![
        Target::at_most(
            "until somebody can change anything again after the leader was killed, p50, in ms",
            outages.p50_ms(),
            OUTAGE_MS,
        ),
        Target::at_most(
            "one client sets the tags of a heap in a cluster of three, p50, in ms",
            three.one_tag_p50_ms,
            CHANGE_MS,
        )
        .beside(floors[0].latency.p50_ms()),
    ];
    let floors: Vec<Value> = floors.iter().map(Load::json).collect();
    let report = json!({
        "floor": {
            "what": "SQLite alone commits as many bytes, all that wait at once, durably",
            "bytes": BYTES,
            "by_clients": floors,
        },
        "one_server": single.report,
        "three_nodes": three.report,
        "outage_after_kill_of_the_leader_ms": outages.json(),
    });
    (report, targets)
}

/// One server, set up as the nodes are.
fn alone(home: &Home) -> Command {
    let mut command = home.command();
    for (flag, place) in [
        ("--worker-path", "mcp-v8-worker"),
        ("--session-db-path", "data"),
        ("--directory-path", "heaps"),
    ] {
        command.arg(flag).arg(home.path(place));
    }
    command.args(["--http-port", "0", "--log-level", "info"]);
    command
}

/// What came of one load.
struct Load {
    clients: usize,
    per_sec: f64,
    latency: Distribution,
    failed: usize,
}

impl Load {
    fn new(clients: usize, time: Duration, (took, failed): (Vec<Duration>, usize)) -> Self {
        Self {
            clients,
            per_sec: rounded(took.len() as f64 / time.as_secs_f64()),
            latency: Distribution::new(took),
            failed,
        }
    }

    fn json(&self) -> Value {
        json!({
            "clients": self.clients,
            "per_sec": self.per_sec,
            "latency_ms": self.latency.json(),
            "failed": self.failed,
        })
    }
}

/// SQLite alone.
fn bare(home: &Home, clients: usize, time: Duration) -> Load {
    let path = home.path(&format!("bare-{clients}.db"));
    let output = Command::new(program(FLOOR))
        .args([
            clients.to_string(),
            BYTES.to_string(),
            time.as_millis().to_string(),
        ])
        .arg(path)
        .stdin(Stdio::null())
        .output()
        .expect("the floor can be executed");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("it writes numbers");
    let took = text.lines().map(|line| line.parse().expect("a number"));
    let took = took.map(Duration::from_micros).collect();
    Load::new(clients, time, (took, 0))
}

struct Loads {
    report: Value,
    one_tag_p50_ms: f64,
}

/// Puts each load on servers, of which each client asks one.
fn loads(servers: &[SocketAddr], first: &Client, floors: &[Load], time: Duration) -> Loads {
    let made = first.run("globalThis.kept = 1");
    let heap = made["heap"].as_str().expect("a heap");
    let mut report = serde_json::Map::new();
    let mut one_tag_p50_ms = f64::NAN;
    for change in Change::ALL {
        let mut by_clients = Vec::new();
        for floor in floors {
            let load = put_load(servers, (change, heap), floor.clients, time);
            if change == Change::Tag && load.clients == 1 {
                one_tag_p50_ms = load.latency.p50_ms();
            }
            let mut shown = load.json();
            // What a script takes is no part of the floor.
            if change == Change::Tag {
                shown["of_the_floor"] = json!(ratio(load.per_sec, floor.per_sec));
            }
            by_clients.push(shown);
        }
        report.insert(change.name().to_owned(), by_clients.into());
    }
    Loads {
        report: report.into(),
        one_tag_p50_ms,
    }
}

fn put_load(
    servers: &[SocketAddr],
    (change, heap): (Change, &str),
    clients: usize,
    time: Duration,
) -> Load {
    let until = Instant::now() + time;
    let seen: Vec<(Vec<Duration>, usize)> = thread::scope(|scope| {
        let started: Vec<_> = (0..clients)
            .map(|number| {
                let server = servers[number % servers.len()];
                scope.spawn(move || client(server, (change, heap), number, until))
            })
            .collect();
        let ended = started.into_iter().map(|client| client.join());
        ended.map(|seen| seen.expect("no panic")).collect()
    });
    let failed = seen.iter().map(|(_, failed)| failed).sum();
    let took = seen.into_iter().flat_map(|(took, _)| took).collect();
    Load::new(clients, time, (took, failed))
}

fn client(
    server: SocketAddr,
    (change, heap): (Change, &str),
    number: usize,
    until: Instant,
) -> (Vec<Duration>, usize) {
    let mut connection = Connection::new(server);
    let (mut took, mut failed) = (Vec::new(), 0);
    while Instant::now() < until {
        let text = format!("{number:8}-{:8}", took.len());
        let text = format!("{text:x>BYTES$}");
        let request = change.request(server, heap, &text);
        let begin = Instant::now();
        match connection.ask(&request) {
            Ok(answer) if answer.status == 200 => took.push(begin.elapsed()),
            Ok(_) | Err(_) => failed += 1,
        }
    }
    (took, failed)
}

/// From the kill of a leader to the end of the first change that somebody asked for after it.
fn outages(cluster: &mut Cluster) -> Distribution {
    let heap = cluster.client("a").run("globalThis.kept = 1")["heap"].clone();
    let path = format!("/api/heaps/{}/tags", heap.as_str().expect("a heap"));
    let mut took = Vec::new();
    for number in 0..KILLS {
        let leader = cluster.leader();
        let others = cluster.others(&leader);
        cluster.node_mut(&leader).kill();
        let begin = Instant::now();
        let body = json!({"tags": {"number": number.to_string()}});
        let probes: Vec<_> = others
            .iter()
            .map(|name| {
                let client = cluster.node(name).client(PROBE_PATIENCE);
                let (path, body) = (path.clone(), body.clone());
                thread::spawn(move || probe(&client, &path, &body, begin))
            })
            .collect();
        let ended = probes.into_iter().map(|probe| probe.join());
        let first = ended.map(|took| took.expect("no panic")).min();
        took.extend(first);
        cluster.node_mut(&leader).start();
        cluster.await_ready();
    }
    Distribution::new(took)
}

/// How long it takes until a change is made, which is tried again and again.
fn probe(client: &Client, path: &str, body: &Value, begin: Instant) -> Duration {
    while begin.elapsed() < PATIENCE {
        let answer = client.try_send("PUT", path, body);
        if answer.is_ok_and(|answer| answer.status == 200) {
            return begin.elapsed();
        }
        thread::sleep(PROBE_PAUSE);
    }
    panic!("nothing was changed for {} ms", millis(begin.elapsed()))
}
