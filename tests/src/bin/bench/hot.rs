//! What the server adds to a request for which a worker is ready.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use e2e::home::Home;
use e2e::server::{initialize_params, structured};
use serde_json::{Value, json};

use crate::statistics::{Distribution, median, rounded};
use crate::target::Target;
use crate::worker::Forking;

/// How often the server and a worker alone take turns. A machine that others share is now faster, now slower: only
/// what is measured one after the other can be compared.
const ROUNDS: usize = 9;
/// Requests of one turn.
const REQUESTS: usize = 100;
/// Requests before anything is measured.
const WARM_UP: usize = 50;

/// A server, and just after it workers alone.
struct Round {
    /// From request to answer, one after another.
    served: Distribution,
    /// From Start to Finished, in a worker that has said Hello.
    alone: Distribution,
}

impl Round {
    fn overhead_ms(&self) -> f64 {
        rounded(self.served.p50_ms() - self.alone.p50_ms())
    }
}

/// Requests one after another, each with a worker that is ready.
pub(crate) struct Hot {
    rounds: Vec<Round>,
}

/// Measures a server with a fork server beside workers of another one.
pub(crate) fn measure() -> Hot {
    let home = Home::new();
    let mut client = Client::start(&home);
    let mut forking = Forking::new();
    let mut served = |count| (0..count).map(|_| client.run()).collect::<Vec<_>>();
    let mut alone = |count| {
        (0..count)
            .map(|_| forking.life().request)
            .collect::<Vec<_>>()
    };
    served(WARM_UP);
    alone(WARM_UP);
    let round = |_| Round {
        served: Distribution::new(served(REQUESTS)),
        alone: Distribution::new(alone(REQUESTS)),
    };
    let rounds = (0..ROUNDS).map(round).collect();
    client.finish();
    Hot { rounds }
}

impl Hot {
    /// What is promised.
    pub(crate) fn target(&self) -> Target {
        let what = "what the server adds to a request for which a worker is ready, p50, in ms";
        let alone = self.rounds.iter().map(|round| round.alone.p50_ms());
        Target::below(what, self.overhead_ms(), 1.0).beside(median(alone))
    }

    /// What the server adds, p50: of the rounds the one in the middle.
    fn overhead_ms(&self) -> f64 {
        median(self.rounds.iter().map(Round::overhead_ms))
    }

    /// Everything, for the report.
    pub(crate) fn json(&self) -> Value {
        let each = |one: fn(&Round) -> f64| self.rounds.iter().map(one).collect::<Vec<_>>();
        json!({
            "what": "p50 from request to answer, without the p50 of a ready worker from Start to Finished",
            "overhead_ms": self.overhead_ms(),
            "by_round": {
                "request_to_answer_p50_ms": each(|round| round.served.p50_ms()),
                "ready_worker_p50_ms": each(|round| round.alone.p50_ms()),
                "overhead_ms": each(Round::overhead_ms),
            },
        })
    }
}

/// A client that does nothing between its request and the answer but wait for it. That of the tests has a thread that
/// reads, and looks into answers as they come: on a machine with few processors a part of what it would measure.
struct Client {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    next_id: u64,
}

impl Client {
    fn start(home: &Home) -> Self {
        let mut command = home.command();
        command.args(["--stateless", "--log-level", "error"]);
        let mut child = command
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the server can be executed");
        let input = child.stdin.take().expect("it is piped");
        let output = child.stdout.take().expect("it is piped");
        let mut client = Self {
            child,
            input,
            output: BufReader::new(output),
            next_id: 0,
        };
        let hello = json!({"id": 0, "method": "initialize", "params": initialize_params()});
        client.say(&line(hello));
        client.hear();
        client.say(&line(json!({"method": "notifications/initialized"})));
        client
    }

    fn say(&mut self, line: &str) {
        let said = self.input.write_all(line.as_bytes());
        said.expect("the server listens");
    }

    /// The next line.
    fn hear(&mut self) -> String {
        let mut line = String::new();
        let heard = self.output.read_line(&mut line);
        assert_ne!(heard.expect("text"), 0, "the server has ended");
        line
    }

    /// Runs `1 + 1`: how long it took, its answer not yet looked at.
    fn run(&mut self) -> Duration {
        self.next_id += 1;
        let arguments = json!({"code": "1 + 1", "wait_ms": 50_000});
        let call = json!({"name": "run_js", "arguments": arguments});
        let request = line(json!({"id": self.next_id, "method": "tools/call", "params": call}));
        let begin = Instant::now();
        self.say(&request);
        let answer = self.hear();
        let took = begin.elapsed();
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        assert_eq!(answer["id"], self.next_id, "{answer}");
        assert_eq!(structured(&answer)["result"], "2", "{answer}");
        took
    }

    fn finish(mut self) {
        drop(self.input);
        let status = self.child.wait().expect("our own child");
        assert!(status.success(), "{status}");
    }
}

/// A message, as it is sent.
fn line(mut message: Value) -> String {
    message["jsonrpc"] = "2.0".into();
    format!("{message}\n")
}
