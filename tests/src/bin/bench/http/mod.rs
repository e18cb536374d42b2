//! The API under load: small scripts at constant rates, at saturation, and far beyond it.
//!
//! Client and server share the processors of this machine. What the client takes is in the report beside
//! what the server takes; on a machine of its own the server has that too.

mod load;
mod snippets;
mod wire;

use std::time::{Duration, Instant};

use e2e::home::Home;
use e2e::http::HttpServer;
use e2e::server::PATIENCE;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use self::load::{Arrivals, Outcome, POLL_PAUSE, POLL_PAUSE_MAX, Way};
use self::wire::Connection;
use crate::statistics::{Distribution, millis, ratio};
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

/// Measures servers of both kinds, each load for so long.
pub(crate) fn measure(time: Duration, cores: usize) -> Measured {
    let stateless = Served::measure(Mode::Stateless, time, cores);
    let stateful = Served::measure(Mode::Stateful, time, cores);
    let saturated = stateless.saturated(Way::Wait);
    let mut targets = vec![
        Target::at_most(
            "stateless: from submit to result at 100 a second, with wait_ms, p50, in ms",
            stateless.calm_p50_ms,
            3.0,
        ),
        Target::at_most(
            "stateless: CPU time of server, fork servers and workers for an execution at saturation, \
             with wait_ms, in ms",
            saturated.most.cpu_ms_each(),
            2.5,
        ),
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
            "poll_pause_ms": {
                "first": millis(POLL_PAUSE), "grows": "doubles", "most": millis(POLL_PAUSE_MAX),
            },
            "stateless": stateless.json,
            "stateful": stateful.json,
        }),
        targets,
    }
}

/// What one kind of server gives.
struct Served {
    calm_p50_ms: f64,
    failed: usize,
    saturations: [(Way, Saturation); 2],
    json: Value,
}

/// A server that has as much to do as it can do, and one that has far more.
struct Saturation {
    clients: usize,
    most: Outcome,
    others: Vec<Value>,
    beyond: Outcome,
}

impl Served {
    fn measure(mode: Mode, time: Duration, cores: usize) -> Self {
        let home = Home::new();
        let mut server = start(&home, mode);
        load::put(
            &server,
            Way::Wait,
            Arrivals::Closed { clients: cores },
            WARM_UP,
        );
        let round_trip = round_trip(&server);
        let mut calm_p50_ms = f64::NAN;
        let mut failed = 0;
        let mut rates = Vec::new();
        for way in [Way::Poll, Way::Wait] {
            for rate in RATES {
                let per_sec = f64::from(rate);
                let outcome = put(&server, way, Arrivals::Constant { per_sec }, time);
                if way == Way::Wait && rate == CALM_RATE {
                    calm_p50_ms = outcome.latency.p50_ms();
                }
                failed += outcome.wrong();
                rates.push(json!({"way": way, "per_sec": rate, "outcome": outcome.json()}));
            }
        }
        let saturations =
            [Way::Poll, Way::Wait].map(|way| (way, Saturation::find(&server, way, time, cores)));
        failed += saturations
            .iter()
            .map(|(_, found)| found.beyond.wrong())
            .sum::<usize>();
        let found = saturations.iter().map(|(way, found)| found.json(*way));
        let json = json!({
            "floor_round_trip_ms": {
                "what": "GET /healthz, one after another: a request for nothing",
                "value": round_trip.json(),
            },
            "rates": rates,
            "saturation": found.collect::<Vec<_>>(),
        });
        server.process.signal(Signal::SIGTERM);
        let status = server.process.wait_exit(PATIENCE);
        assert!(
            status.success(),
            "{status}; its log:\n{}",
            server.process.log()
        );
        Self {
            calm_p50_ms,
            failed,
            saturations,
            json,
        }
    }

    fn saturated(&self, way: Way) -> &Saturation {
        let [(first, polled), (_, waited)] = &self.saturations;
        if way == *first { polled } else { waited }
    }
}

impl Saturation {
    /// Looks for the number of clients with whom most is done, then asks for far more than that.
    fn find(server: &HttpServer, way: Way, time: Duration, cores: usize) -> Self {
        let mut others = Vec::new();
        let mut best: Option<(usize, Outcome)> = None;
        for each in CLIENTS_FOR_EACH_CORE {
            let clients = each * cores;
            let arrivals = Arrivals::Closed { clients };
            let outcome = put(server, way, arrivals, time.min(SATURATION_TIME_MAX));
            others.push(json!({"clients": clients, "goodput_per_sec": outcome.goodput}));
            if best
                .as_ref()
                .is_none_or(|(_, best)| outcome.goodput > best.goodput)
            {
                best = Some((clients, outcome));
            }
        }
        let (clients, most) = best.expect("there is more than one number of clients");
        let per_sec = OVERLOAD * most.goodput;
        Self {
            beyond: put(server, way, Arrivals::Constant { per_sec }, time),
            clients,
            most,
            others,
        }
    }

    /// What is left of the goodput of saturation.
    fn kept(&self) -> f64 {
        ratio(self.beyond.goodput, self.most.goodput).unwrap_or(f64::NAN)
    }

    fn json(&self, way: Way) -> Value {
        json!({
            "way": way,
            "goodput_by_clients": self.others,
            "most": {"clients": self.clients, "outcome": self.most.json()},
            "at_4x": {
                "per_sec": OVERLOAD * self.most.goodput,
                "goodput_of_saturation": self.kept(),
                "outcome": self.beyond.json(),
            },
        })
    }
}

/// A server with its defaults, as an operator starts it.
fn start(home: &Home, mode: Mode) -> HttpServer {
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
    HttpServer::spawn(command)
}

/// Puts a load on a server that has come to rest.
fn put(server: &HttpServer, way: Way, arrivals: Arrivals, time: Duration) -> Outcome {
    std::thread::sleep(REST);
    load::put(server, way, arrivals, time)
}

/// A request for nothing, there and back.
fn round_trip(server: &HttpServer) -> Distribution {
    let mut connection = Connection::new(server.address());
    let request = wire::get(server.address(), "/healthz");
    let measured = (0..ROUND_TRIPS).map(|_| {
        let begin = Instant::now();
        let answer = connection.ask(&request).expect("it answers");
        assert_eq!(answer.status, 200);
        begin.elapsed()
    });
    Distribution::new(measured.collect())
}
