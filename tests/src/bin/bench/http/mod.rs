//! The API under load: small scripts at constant rates, at saturation, and far beyond it.
//!
//! At constant rates client and server share the processors of this machine: what the client takes is in the
//! report beside what the server takes. Saturation and overload are compared with each other, so there the
//! client has one processor to itself and the server the others.

mod chain;
pub(crate) mod cluster;
pub(crate) mod k6;
mod load;
mod snippets;
pub(crate) mod tenants;
pub(crate) mod wire;

use std::process::Command;
use std::time::{Duration, Instant};

use e2e::home::Home;
use e2e::http::HttpServer;
use e2e::server::PATIENCE;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use self::chain::Chains;
use self::load::{Arrivals, Load, Outcome, POLL_PAUSE, Place, Way};
use self::wire::Connection;
use crate::floor::{self, Fork};
use crate::processors::Apart;
use crate::statistics::{Distribution, median, millis, ratio};
use crate::target::Target;

/// Requests a second, one load after another.
const RATES: [u32; 4] = [100, 200, 500, 1000];
/// The rate at which latency is held against its target: workers are ready, whoever comes.
const CALM_RATE: u32 = 100;
/// How many clients look for saturation, for each core.
const CLIENTS_FOR_EACH_CORE: [usize; 4] = [1, 2, 4, 8];
/// How long each of them takes at most.
const SATURATION_TIME_MAX: Duration = Duration::from_secs(10);
/// How many times as much as saturates it an overloaded server is asked for.
const OVERLOAD: f64 = 4.0;
/// How often saturation and overload take turns. A machine that others share is now faster, now slower:
/// only what is measured one after the other can be compared.
const ROUNDS: u32 = 5;
/// How long each of them takes at least: at its begin no queue is there yet, and no worker is warm.
const ROUND_TIME_MIN: Duration = Duration::from_secs(5);
/// Load before anything is measured.
const WARM_UP: Duration = Duration::from_secs(2);
/// The rest between two loads.
const REST: Duration = Duration::from_secs(1);
/// Requests for nothing, one after another.
const ROUND_TRIPS: usize = 2000;

/// What a server is.
#[derive(Clone, Copy)]
enum Mode {
    /// It keeps nothing.
    Stateless,
    /// It keeps the heap of each execution; each begins with a fresh one.
    Stateful,
}

/// The report, and what its figures have to be.
pub(crate) struct Measured {
    pub(crate) report: Value,
    pub(crate) targets: Vec<Target>,
}

/// Measures servers of both kinds, each load for so long, beside the floor.
pub(crate) fn measure(time: Duration, cores: usize) -> Measured {
    let stateless = Served::measure(Mode::Stateless, time, cores);
    let stateful = Served::measure(Mode::Stateful, time, cores);
    let calm = stateless.calm();
    let saturated = stateless.saturated(Way::Wait);
    let mut targets = vec![
        Target::at_most(
            "stateless: from submit to result at 100 a second, with wait_ms, p50, in ms",
            calm.outcome.latency.p50_ms(),
            3.0,
        )
        .beside(calm.floor.life.p50_ms()),
        Target::at_most(
            "stateless: CPU time of server, fork servers and workers for an execution at saturation, \
             with wait_ms, in ms",
            saturated.median_of(|round| round.saturated.cpu_ms_each()),
            2.5,
        )
        .beside(saturated.median_of(|round| round.floor.cpu.mean_ms())),
    ];
    let overloads = [
        ("stateless, wait_ms", saturated),
        ("stateless, polling", stateless.saturated(Way::Poll)),
        ("stateful, wait_ms", stateful.saturated(Way::Wait)),
        ("stateful, polling", stateful.saturated(Way::Poll)),
    ];
    for (what, saturation) in overloads {
        targets.push(Target::at_least(
            format!(
                "{what}: executions completed a second at 4 x saturation, of those at saturation"
            ),
            saturation.kept(),
            0.9,
        ));
    }
    let failed = stateless.failed + stateful.failed;
    targets.push(Target::at_most(
        "requests that neither completed nor were refused with a Retry-After",
        failed as f64,
        0.0,
    ));
    Measured {
        report: json!({
            "seconds_of_each_load": time.as_secs_f64(),
            "poll_pause_ms": { "told": "poll_after_ms", "untold": millis(POLL_PAUSE) },
            "stateless": stateless.json,
            "stateful": stateful.json,
        }),
        targets,
    }
}

/// What one kind of server gives.
struct Served {
    rates: Vec<Rate>,
    failed: usize,
    saturations: [(Way, Saturation); 2],
    json: Value,
}

/// A load at a constant rate, just after the floor.
struct Rate {
    way: Way,
    per_sec: u32,
    floor: Fork,
    outcome: Outcome,
}

/// A server that has as much to do as it can do, and one that has far more.
struct Saturation {
    /// With how many clients most is done.
    clients: usize,
    others: Vec<Value>,
    /// By what is left of the goodput, the least first.
    rounds: Vec<Round>,
}

/// The floor and, just after it, saturation and overload.
struct Round {
    floor: Fork,
    saturated: Outcome,
    asked_per_sec: f64,
    overloaded: Outcome,
}

impl Served {
    fn measure(mode: Mode, time: Duration, cores: usize) -> Self {
        let home = Home::new();
        let server = start(&home, mode);
        let warm_up = Load::new(Way::Wait, Arrivals::Closed { clients: cores });
        load::put(&[Place::of(&server)], warm_up, WARM_UP);
        let round_trip = round_trip(&server);
        let ways = [Way::Poll, Way::Wait].into_iter();
        let loads = ways.flat_map(|way| RATES.map(|rate| (way, rate)));
        let rates: Vec<Rate> = loads
            .map(|(way, rate)| Rate::measure(&server, way, rate, time))
            .collect();
        let chains = match mode {
            Mode::Stateless => None,
            Mode::Stateful => Some(Chains::measure(&[Place::of(&server)], time)),
        };
        stop(server);
        let home = Home::new();
        let (apart, server) = Apart::with(|| start(&home, mode)).expect("processors are told");
        let servers = apart.as_ref().map_or(cores, |apart| apart.servers);
        let saturations =
            [Way::Poll, Way::Wait].map(|way| (way, Saturation::find(&server, way, time, servers)));
        stop(server);
        let rounds = saturations.iter().flat_map(|(_, found)| &found.rounds);
        let wrong_in_rounds =
            rounds.map(|round| round.saturated.wrong() + round.overloaded.wrong());
        let wrong_at_rates = rates.iter().map(|rate| rate.outcome.wrong());
        let failed = wrong_at_rates.chain(wrong_in_rounds).sum::<usize>()
            + chains.as_ref().map_or(0, |chains| chains.wrong);
        let found = saturations.iter().map(|(way, found)| found.json(*way));
        let json = json!({
            "floor_round_trip_ms": {
                "what": "GET /healthz, one after another: a request for nothing",
                "value": round_trip.json(),
            },
            "rates": rates.iter().map(Rate::json).collect::<Vec<_>>(),
            "chains": chains.as_ref().map(Chains::json),
            "saturation": found.collect::<Vec<_>>(),
            "processors_of_the_server_at_saturation": servers,
            "client_has_one_to_itself_at_saturation": apart.is_some(),
        });
        Self {
            rates,
            failed,
            saturations,
            json,
        }
    }

    /// Workers are ready, whoever comes.
    fn calm(&self) -> &Rate {
        let mut rates = self.rates.iter();
        let found = rates.find(|rate| (rate.way, rate.per_sec) == (Way::Wait, CALM_RATE));
        found.expect("it is one of the rates")
    }

    fn saturated(&self, way: Way) -> &Saturation {
        let [(first, polled), (_, waited)] = &self.saturations;
        if way == *first { polled } else { waited }
    }
}

impl Rate {
    fn measure(server: &HttpServer, way: Way, per_sec: u32, time: Duration) -> Self {
        let floor = floor_at_rest();
        let arrivals = Arrivals::Constant {
            per_sec: f64::from(per_sec),
        };
        Self {
            way,
            per_sec,
            floor,
            outcome: put(server, way, arrivals, time),
        }
    }

    fn json(&self) -> Value {
        json!({
            "way": self.way,
            "per_sec": self.per_sec,
            "floor": self.floor.json(),
            "outcome": self.outcome.json(),
        })
    }
}

impl Saturation {
    /// Looks for the number of clients with whom most is done, then asks for far more than that, in turns.
    fn find(server: &HttpServer, way: Way, time: Duration, cores: usize) -> Self {
        let search_time = time.min(SATURATION_TIME_MAX);
        let mut found = Vec::new();
        for each in CLIENTS_FOR_EACH_CORE {
            let clients = each * cores;
            let outcome = put(server, way, Arrivals::Closed { clients }, search_time);
            found.push((clients, outcome.goodput));
        }
        let best = found.iter().max_by(|one, other| one.1.total_cmp(&other.1));
        let clients = best.expect("there is more than one number of clients").0;
        let round_time = (time / ROUNDS).max(ROUND_TIME_MIN);
        let mut rounds: Vec<Round> = (0..ROUNDS)
            .map(|_| Round::measure(server, way, clients, round_time))
            .collect();
        rounds.sort_by(|one, other| one.kept().total_cmp(&other.kept()));
        let others = found
            .into_iter()
            .map(|(clients, goodput)| json!({"clients": clients, "goodput_per_sec": goodput}));
        Self {
            clients,
            others: others.collect(),
            rounds,
        }
    }

    fn median(&self) -> &Round {
        &self.rounds[self.rounds.len() / 2]
    }

    /// What is left of the goodput of saturation.
    fn kept(&self) -> f64 {
        self.median().kept()
    }

    /// The median of a figure of each round.
    fn median_of(&self, figure: impl Fn(&Round) -> f64) -> f64 {
        median(self.rounds.iter().map(figure))
    }

    fn json(&self, way: Way) -> Value {
        let Round {
            floor,
            saturated,
            asked_per_sec,
            overloaded,
        } = self.median();
        json!({
            "way": way,
            "goodput_by_clients": self.others,
            "goodput_of_saturation_by_round":
                self.rounds.iter().map(Round::kept).collect::<Vec<_>>(),
            "cpu_of_the_floor_by_round":
                self.rounds.iter().map(Round::times_the_floor).collect::<Vec<_>>(),
            "floor": floor.json(),
            "most": {"clients": self.clients, "outcome": saturated.json()},
            "at_4x": {
                "per_sec": asked_per_sec,
                "goodput_of_saturation": self.kept(),
                "outcome": overloaded.json(),
            },
        })
    }
}

impl Round {
    fn measure(server: &HttpServer, way: Way, clients: usize, time: Duration) -> Self {
        let floor = floor_at_rest();
        let saturated = put(server, way, Arrivals::Closed { clients }, time);
        let per_sec = OVERLOAD * saturated.goodput;
        Self {
            floor,
            overloaded: put(server, way, Arrivals::Constant { per_sec }, time),
            asked_per_sec: per_sec,
            saturated,
        }
    }

    /// CPU time of an execution at saturation, times the floor.
    fn times_the_floor(&self) -> f64 {
        ratio(self.saturated.cpu_ms_each(), self.floor.cpu.mean_ms()).unwrap_or(f64::NAN)
    }

    /// What is left of the goodput.
    fn kept(&self) -> f64 {
        ratio(self.overloaded.goodput, self.saturated.goodput).unwrap_or(f64::NAN)
    }
}

/// A server with its defaults, as an operator starts it.
fn start(home: &Home, mode: Mode) -> HttpServer {
    HttpServer::spawn(command(home, mode))
}

fn command(home: &Home, mode: Mode) -> Command {
    let mut command = home.command();
    command.args(["--http-port", "0", "--log-level", "info"]);
    match mode {
        Mode::Stateless => command.arg("--stateless"),
        Mode::Stateful => command
            .arg("--session-db-path")
            .arg(home.path("data"))
            .arg("--directory-path")
            .arg(home.path("heaps")),
    };
    command
}

pub(crate) fn stop(mut server: HttpServer) {
    server.process.signal(Signal::SIGTERM);
    let status = server.process.wait_exit(PATIENCE);
    assert!(
        status.success(),
        "{status}; its log:\n{}",
        server.process.log()
    );
}

/// The floor, on the processors of the client.
fn floor_at_rest() -> Fork {
    std::thread::sleep(REST);
    floor::warm_fork()
}

/// Puts a load on a server that has come to rest.
fn put(server: &HttpServer, way: Way, arrivals: Arrivals, time: Duration) -> Outcome {
    std::thread::sleep(REST);
    load::put(&[Place::of(server)], Load::new(way, arrivals), time)
}

/// A request for nothing, there and back.
fn round_trip(server: &HttpServer) -> Distribution {
    let mut connection = Connection::new(server.address());
    let request = wire::get(server.address(), "/healthz", None);
    let measured = (0..ROUND_TRIPS).map(|_| {
        let begin = Instant::now();
        let answer = connection.ask(&request).expect("it answers");
        assert_eq!(answer.status, 200);
        begin.elapsed()
    });
    Distribution::new(measured.collect())
}
