//! What an execution costs where much is stored, what much that is under way takes in memory, and how long a
//! server takes to start.
//!
//! Each table grows alone. The server with next to nothing in it is the floor of the others: they take turns,
//! because a machine that others share is now faster, now slower.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use e2e::home::{Home, program};
use e2e::http::HttpServer;
use e2e::processes;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::floor;
use crate::http::Measured;
use crate::http::wire::{self, Connection};
use crate::server::cpu;
use crate::statistics::{Distribution, median, ratio, rounded};
use crate::target::Target;

/// The example of the supervisor's crate.
const SEED: &str = "examples/seed_store";
/// Executions, sessions and heaps that are stored.
const STORED: [[u32; 3]; 5] = [
    [1, 1, 1],
    [10_000, 1, 1],
    [1_000_000, 1, 1],
    [1, 10_000, 1],
    [1, 1, 100_000],
];
/// How often the servers take turns.
const ROUNDS: usize = 3;
/// Executions of each turn, one after another.
const EXECUTIONS: usize = 200;
/// Requests that only look, of each kind and turn.
const LOOKS: usize = 200;
/// What a list holds at once.
const PAGE: u32 = 100;
/// How many values the tags of stored heaps have, in turns.
const TAGS: u32 = 10;
/// The oldest execution that is stored, which no server has run: it is not in memory.
const OLDEST: &str = "00000000-0000-4000-8000-000000000001";
/// Before anything is measured.
const WARM_UP: usize = 20;
/// How much more than the floor an execution may cost: rounds of one server differ by as much.
const FLAT: f64 = 1.15;

/// Executions that are under way at once.
const LIVE: usize = 1000;
/// How often a server is started.
const STARTS: usize = 15;
/// What the log says before the address.
const PLACE: &str = "MCP at http://";

/// Measures all of it.
pub(crate) fn measure() -> Measured {
    let stored = stored();
    let full = stored.iter().max_by_key(|one| one.counts[0]);
    let (starts, start_targets) = starts(full.expect("there are some"));
    let live_bytes = live_bytes();
    let floor = &stored[0];
    let mut targets = Vec::new();
    for grown in &stored[1..] {
        let [latency, cpu] = grown.beside(floor);
        let what = grown.what();
        targets.push(Target::at_most(
            format!("p50 of an execution with {what} stored, times that with next to nothing"),
            latency,
            FLAT,
        ));
        targets.push(Target::at_most(
            format!("CPU time of the server for it with {what} stored, times the same"),
            cpu,
            FLAT,
        ));
    }
    targets.extend(start_targets);
    Measured {
        report: json!({
            "stored": stored.iter().map(|one| one.json(floor)).collect::<Vec<_>>(),
            "live": live_bytes,
            "start": starts,
            "binaries": binaries(),
        }),
        targets,
    }
}

/// A database, and what its server gives.
struct Stored {
    counts: [u32; 3],
    home: Home,
    turns: Vec<Turn>,
}

/// One turn of it.
struct Turn {
    /// An execution on a fresh heap, from request to answer.
    execution_ms: f64,
    /// CPU time of the server itself for it.
    server_cpu_ms: f64,
    /// A step of a session, from request to answer.
    step_ms: f64,
    /// The first page of the executions.
    list_ms: f64,
    /// The oldest of them.
    get_ms: f64,
    /// The heaps with a tag, which is that of a tenth of them.
    query_ms: f64,
}

fn stored() -> Vec<Stored> {
    let mut all: Vec<Stored> = STORED.map(Stored::new).into();
    for _ in 0..ROUNDS {
        for one in &mut all {
            let turn = one.turn();
            one.turns.push(turn);
        }
    }
    all
}

impl Stored {
    fn new(counts: [u32; 3]) -> Self {
        let home = Home::new();
        let mut seed = Command::new(program(SEED));
        seed.arg(home.path("data"));
        seed.args(counts.map(|count| count.to_string()));
        let seeded = seed.stdin(Stdio::null()).status();
        let seeded = seeded.expect("the database can be made");
        assert!(seeded.success(), "{seeded}");
        Self {
            counts,
            home,
            turns: Vec::new(),
        }
    }

    fn what(&self) -> String {
        let [executions, sessions, heaps] = self.counts;
        format!("{executions} executions, {sessions} sessions, {heaps} heaps")
    }

    fn turn(&self) -> Turn {
        let server = HttpServer::spawn(command(&self.home));
        let mut client = Client::new(&server);
        for _ in 0..WARM_UP {
            client.run(json!({}));
        }
        let before = cpu(server.process.pid());
        let executions = (0..EXECUTIONS).map(|_| client.run(json!({})));
        let executions = Distribution::new(executions.collect());
        let used = cpu(server.process.pid()).own_secs - before.own_secs;
        client.run(json!({"session": "grown"}));
        let steps =
            (0..EXECUTIONS / 4).map(|_| client.run(json!({"session": "grown", "heap": "latest"})));
        let steps = Distribution::new(steps.collect());
        let [_, _, heaps] = self.counts;
        let tagged = heaps.div_ceil(TAGS).min(PAGE) as usize;
        let length = |body: &Value, of: &str| body[of].as_array().map(Vec::len);
        let list = client.path("/api/executions");
        let one = client.path(&format!("/api/executions/{OLDEST}"));
        let query = client.body(
            "/api/heaps/query",
            &json!({"tags": {"kind": "k1"}, "limit": PAGE}),
        );
        let turn = Turn {
            execution_ms: executions.p50_ms(),
            server_cpu_ms: rounded(used * 1000.0 / EXECUTIONS as f64),
            step_ms: steps.p50_ms(),
            // An answer that holds nothing is quick, and says nothing.
            list_ms: client.looks(&list, |body| {
                length(body, "executions") == Some(PAGE as usize)
            }),
            get_ms: client.looks(&one, |body| body["execution_id"] == OLDEST),
            query_ms: client.looks(&query, |body| length(body, "results") == Some(tagged)),
        };
        stop(server);
        turn
    }

    /// The median of all turns.
    fn median(&self, of: impl Fn(&Turn) -> f64) -> f64 {
        median(self.turns.iter().map(of))
    }

    /// Latency and CPU time of an execution, times those of another database: the medians of the turns,
    /// each beside the other's of its own round.
    fn beside(&self, floor: &Self) -> [f64; 2] {
        let of = |of: fn(&Turn) -> f64| {
            let rounds = self.turns.iter().zip(&floor.turns);
            rounded(median(rounds.map(|(own, floor)| of(own) / of(floor))))
        };
        [of(|turn| turn.execution_ms), of(|turn| turn.server_cpu_ms)]
    }

    fn json(&self, floor: &Self) -> Value {
        let [executions, sessions, heaps] = self.counts;
        let [latency, cpu] = self.beside(floor);
        let bytes = fs::metadata(self.home.path("data").join("executions.db"));
        json!({
            "executions": executions,
            "sessions": sessions,
            "heaps": heaps,
            "database_bytes": bytes.map(|file| file.len()).ok(),
            "execution_p50_ms": {"value": self.median(|turn| turn.execution_ms), "ratio": latency},
            "server_cpu_ms_each": {"value": self.median(|turn| turn.server_cpu_ms), "ratio": cpu},
            "step_of_a_session_p50_ms": self.median(|turn| turn.step_ms),
            "first_page_of_executions_p50_ms": self.median(|turn| turn.list_ms),
            "the_oldest_execution_p50_ms": self.median(|turn| turn.get_ms),
            "heaps_with_a_tag_p50_ms": self.median(|turn| turn.query_ms),
        })
    }
}

/// Somebody who asks a server, one request after another.
struct Client {
    connection: Connection,
    server: std::net::SocketAddr,
}

impl Client {
    fn new(server: &HttpServer) -> Self {
        Self {
            connection: Connection::new(server.address()),
            server: server.address(),
        }
    }

    fn path(&self, path: &str) -> Vec<u8> {
        wire::get(self.server, path, None)
    }

    fn body(&self, path: &str, body: &Value) -> Vec<u8> {
        wire::post(self.server, path, None, &body.to_string())
    }

    /// Runs `1 + 1`; how long that took.
    fn run(&mut self, mut arguments: Value) -> Duration {
        arguments["code"] = json!("1 + 1");
        arguments["wait_ms"] = json!(50_000);
        let request = self.body("/api/exec", &arguments);
        let begin = Instant::now();
        let answer = self.connection.ask(&request).expect("it answers");
        let took = begin.elapsed();
        let result = answer.execution().and_then(|seen| seen.result);
        assert_eq!(result.as_deref(), Some("2"), "{}", answer.body());
        took
    }

    fn get(&mut self, path: &str) -> wire::Answer {
        let request = self.path(path);
        self.connection.ask(&request).expect("it answers")
    }

    /// Asks again and again for what has to hold this; the median in milliseconds.
    fn looks(&mut self, request: &[u8], holds: impl Fn(&Value) -> bool) -> f64 {
        let looks = (0..LOOKS).map(|_| {
            let begin = Instant::now();
            let answer = self.connection.ask(request).expect("it answers");
            let took = begin.elapsed();
            let body = answer.body();
            assert!(answer.status == 200 && holds(&body), "{body:.400}");
            took
        });
        Distribution::new(looks.collect()).p50_ms()
    }
}

/// A server that keeps all that is stored.
fn command(home: &Home) -> Command {
    let mut command = home.command();
    command
        .args(["--http-port", "0", "--log-level", "info"])
        .args(["--execution-retention-count", "10000000"])
        .arg("--session-db-path")
        .arg(home.path("data"))
        .arg("--directory-path")
        .arg(home.path("heaps"));
    command
}

/// A server that keeps nothing.
fn stateless(home: &Home) -> Command {
    let mut command = home.command();
    command.args(["--http-port", "0", "--log-level", "info", "--stateless"]);
    command
}

fn stop(server: HttpServer) {
    crate::http::stop(server);
}

/// Memory of the server while much is under way.
fn live_bytes() -> Value {
    let home = Home::new();
    let mut command = stateless(&home);
    command.args(["--max-queued-executions", &LIVE.to_string()]);
    let server = HttpServer::spawn(command);
    let mut client = Client::new(&server);
    for _ in 0..WARM_UP {
        client.run(json!({}));
    }
    let bytes = || processes::proportional_bytes(server.process.pid());
    let idle = bytes();
    // They wait for a timer and take no processor; those that find no slot wait for that.
    let code = format!(
        "await new Promise(done => setTimeout(done, 100_000)); // {}",
        "x".repeat(1000)
    );
    let submit = client.body(
        "/api/exec",
        &json!({"code": code, "execution_timeout_secs": 200}),
    );
    for _ in 0..LIVE {
        let answer = client.connection.ask(&submit).expect("it answers");
        assert_eq!(answer.status, 202, "{}", answer.body());
    }
    let live = bytes();
    let each = live
        .zip(idle)
        .map(|(live, idle)| live.saturating_sub(idle) / LIVE as u64);
    json!({
        "executions": LIVE,
        "what": "memory of the server itself (PSS), with code of 1 KB each; those without a slot wait for one",
        "bytes": live,
        "floor": {"what": "the same server, idle", "value": idle},
        "ratio": ratio(
            live.unwrap_or_default() as f64,
            idle.unwrap_or_default() as f64,
        ),
        "bytes_each": each,
    })
}

/// How long a server takes to start.
struct Started {
    /// Until it has answered that it is ready.
    first_answer: Vec<Duration>,
    /// Until it has answered with the result of a script, asked for just after that.
    first_result: Vec<Duration>,
}

impl Started {
    fn measure(command: impl Fn() -> Command) -> Self {
        let mut started = Self {
            first_answer: Vec::new(),
            first_result: Vec::new(),
        };
        for _ in 0..STARTS {
            started.once(command());
        }
        started
    }

    fn once(&mut self, mut command: Command) {
        let begin = Instant::now();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server can be executed");
        let log = BufReader::new(child.stderr.take().expect("piped"));
        let mut lines = log.lines().map_while(Result::ok);
        let address = lines.find_map(|line| {
            let (_, rest) = line.split_once(PLACE)?;
            rest.split('/').next()?.parse().ok()
        });
        let address = address.expect("it says where it listens");
        let rest = std::thread::spawn(move || lines.for_each(drop));
        let mut client = Client {
            connection: Connection::new(address),
            server: address,
        };
        let ready = client.get("/readyz");
        assert_eq!(ready.status, 200, "{}", ready.body());
        self.first_answer.push(begin.elapsed());
        client.run(json!({}));
        self.first_result.push(begin.elapsed());
        let pid = Pid::from_raw(child.id().cast_signed());
        kill(pid, Signal::SIGTERM).expect("our own child");
        let status = child.wait().expect("our own child");
        assert!(status.success(), "{status}");
        rest.join().expect("no panic");
    }

    fn p50s(&self) -> [f64; 2] {
        [&self.first_answer, &self.first_result].map(|of| Distribution::new(of.clone()).p50_ms())
    }

    fn json(&self) -> Value {
        json!({
            "first_answer_ms": Distribution::new(self.first_answer.clone()).json(),
            "first_result_ms": Distribution::new(self.first_result.clone()).json(),
        })
    }
}

fn starts(full: &Stored) -> (Value, Vec<Target>) {
    let isolate = floor::isolate().start;
    let home = Home::new();
    let bare = Started::measure(|| stateless(&home));
    let full = Started::measure(|| command(&full.home));
    let mut targets = Vec::new();
    for (what, started) in [
        ("a stateless server", &bare),
        ("a server with a million stored executions", &full),
    ] {
        let [answer, result] = started.p50s();
        let until = [
            ("its first answer", answer),
            ("the first result of a script", result),
        ];
        targets.extend(until.map(|(until, p50_ms)| {
            let what = format!("start of {what} until {until}, p50, in ms");
            Target::below(what, p50_ms, 100.0).beside(isolate.p50_ms())
        }));
    }
    let report = json!({
        "stateless": bare.json(),
        "with_a_million_executions": full.json(),
        "floors": {
            "process_exec_exit_ms": floor::process().json(),
            "bare_isolate_exec_until_ready_ms": isolate.json(),
        },
    });
    (report, targets)
}

/// How large the programs are.
fn binaries() -> Value {
    let bytes = |name: &str| fs::metadata(program(name)).map(|file| file.len()).ok();
    json!({
        "mcp-v8_bytes": bytes("mcp-v8"),
        "mcp-v8-worker": {
            "bytes": bytes("mcp-v8-worker"),
            "floor": {"what": "V8 and a main function", "bytes": bytes("examples/bare_isolate")},
        },
    })
}
