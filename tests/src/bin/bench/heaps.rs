//! Executions that keep their heaps, beside V8's own restore and snapshot.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use e2e::home::{Home, program};
use e2e::server::Server;
use serde_json::{Value, json};

use crate::server::{Cpu, Throughput, cpu, start, throughput_of};
use crate::statistics::{Distribution, ratio, repeat, rounded};
use crate::target::Target;

/// The example of the worker's crate.
const FLOOR: &str = "examples/bare_heap";
/// How often V8 alone and a chain on the server take turns. A machine that others share is now faster, now slower:
/// only what is measured one after the other can be compared.
const ROUNDS: usize = 5;
/// Steps of one turn, and executions on new heaps.
const STEPS: usize = 100;
/// How long one chain is measured at most.
const BUDGET: Duration = Duration::from_secs(20);
/// Objects that a heap holds beside the counter.
const SIZES: [usize; 3] = [0, 10_000, 100_000];
/// Steps of a chain on a large heap.
const SIZED_STEPS: usize = 20;

/// What V8 alone takes.
pub(crate) struct Floor {
    /// Until the script has run.
    pub(crate) restore: Distribution,
    /// The snapshot.
    pub(crate) snapshot: Distribution,
    /// CPU time of both.
    pub(crate) cpu: Distribution,
    /// The heap, in bytes.
    bytes: u64,
}

/// Measures V8 alone, on a heap of so many objects.
fn floor(steps: usize, objects: usize) -> Floor {
    let output = Command::new(program(FLOOR))
        .args([steps.to_string(), objects.to_string()])
        .stdin(Stdio::null())
        .output()
        .expect("the floor can be executed");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("it writes numbers");
    let (mut restore, mut snapshot, mut cpu, mut bytes) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for line in text.lines() {
        let mut numbers = line
            .split(' ')
            .map(|number| number.parse::<u64>().expect("a number"));
        let mut next = || numbers.next().expect("four numbers");
        restore.push(Duration::from_micros(next()));
        snapshot.push(Duration::from_micros(next()));
        cpu.push(Duration::from_micros(next()));
        bytes = next();
    }
    Floor {
        restore: Distribution::new(restore),
        snapshot: Distribution::new(snapshot),
        cpu: Distribution::new(cpu),
        bytes,
    }
}

/// What the server takes.
pub(crate) struct Stateful {
    /// By how many times V8's own CPU time a step takes, the least first.
    rounds: Vec<Round>,
    /// `1 + 1` on a new heap, from request to answer.
    pub(crate) fresh: Distribution,
    /// As many independent `1 + 1` under way as keep one slot, and each, busy.
    pub(crate) on_one: Throughput,
    pub(crate) on_all: Throughput,
    sizes: Vec<Value>,
}

/// V8 alone and, just after it, the server, on a small heap.
struct Round {
    /// V8's own restore and snapshot.
    floor: Floor,
    /// `++n` on the heap of the step before.
    chained: Chain,
}

impl Round {
    fn measure(server: &mut Server) -> Self {
        Self {
            floor: floor(STEPS, 0),
            chained: chain(server, STEPS, 0),
        }
    }

    /// How many times V8's own CPU time a step takes.
    fn times(&self) -> f64 {
        self.beside(self.chained.worker_cpu_ms_each)
    }

    fn beside(&self, cpu_ms: f64) -> f64 {
        ratio(cpu_ms, self.floor.cpu.mean_ms()).unwrap_or(f64::NAN)
    }
}

/// Measures a server that keeps heaps.
pub(crate) fn measure(cores: usize) -> Stateful {
    let home = Home::new();
    let mut server = start(&home, &[]);
    let mut fresh = Vec::new();
    repeat(STEPS, BUDGET, || {
        let begin = Instant::now();
        run(&mut server, "1 + 1", None);
        fresh.push(begin.elapsed());
    });
    let mut rounds: Vec<Round> = (0..ROUNDS).map(|_| Round::measure(&mut server)).collect();
    rounds.sort_by(|one, other| one.times().total_cmp(&other.times()));
    let on_all = throughput_of(&mut server, 2 * cores);
    let sizes = SIZES.map(|objects| {
        let floor = floor(SIZED_STEPS, objects);
        let chained = chain(&mut server, SIZED_STEPS, objects);
        json!({
            "objects": objects,
            "heap_bytes_of_bare_v8": floor.bytes,
            "chained": chained.json(),
            "restore_ms_of_bare_v8": floor.restore.json(),
            "snapshot_ms_of_bare_v8": floor.snapshot.json(),
        })
    });
    server.finish();
    let home = Home::new();
    let mut server = start(&home, &["--max-concurrent-executions", "1"]);
    let on_one = throughput_of(&mut server, 2);
    server.finish();
    Stateful {
        rounds,
        fresh: Distribution::new(fresh),
        on_one,
        on_all,
        sizes: sizes.to_vec(),
    }
}

impl Stateful {
    fn median(&self) -> &Round {
        &self.rounds[self.rounds.len() / 2]
    }

    /// Everything, for the report.
    pub(crate) fn json(&self) -> Value {
        let Round { floor, chained } = self.median();
        json!({
            "floor": {
                "what": "V8's own restore, ++n and snapshot in one process, without web globals and jail",
                "restore_ms": floor.restore.json(),
                "snapshot_ms": floor.snapshot.json(),
                "cpu_ms": floor.cpu.json(),
                "heap_bytes": floor.bytes,
            },
            "fresh_ms": self.fresh.json(),
            "chained": chained.json(),
            "cpu_of_the_floor_by_round": self.rounds.iter().map(Round::times).collect::<Vec<_>>(),
            "on_one_slot": self.on_one,
            "on_all_slots": self.on_all,
            "scaling": rounded(self.on_all.per_sec / self.on_one.per_sec),
            "by_size": self.sizes,
        })
    }

    /// What is promised.
    pub(crate) fn targets(&self) -> Vec<Target> {
        let median = self.median();
        vec![
            Target::at_most(
                "a step on a small stored heap, from request to answer, p50, in ms",
                median.chained.latency.p50_ms(),
                20.0,
            )
            .beside(rounded(
                median.floor.restore.p50_ms() + median.floor.snapshot.p50_ms(),
            )),
            Target::at_most(
                "CPU time of fork server and worker for a step on a small stored heap, times V8's own",
                median.times(),
                1.3,
            ),
            Target::at_most(
                "the same for an execution that begins a heap",
                median.beside(self.on_all.worker_cpu_ms_each),
                1.3,
            ),
        ]
    }
}

/// Steps one after the other, each on the heap of the one before.
pub(crate) struct Chain {
    /// From request to answer.
    latency: Distribution,
    /// CPU time of the server itself for each step, in milliseconds.
    server_cpu_ms_each: f64,
    /// CPU time of fork servers and workers for each step, in milliseconds.
    worker_cpu_ms_each: f64,
}

impl Chain {
    fn json(&self) -> Value {
        json!({
            "latency_ms": self.latency.json(),
            "server_cpu_ms_each": self.server_cpu_ms_each,
            "worker_cpu_ms_each": self.worker_cpu_ms_each,
        })
    }
}

fn chain(server: &mut Server, steps: usize, objects: usize) -> Chain {
    let first = format!(
        "let n = 0; const kept = []; for (let i = 0; i < {objects}; i++) kept.push({{ i }}); n"
    );
    let mut heap = run(server, &first, None);
    let mut measured = Vec::new();
    let before = cpu(server.pid());
    repeat(steps, BUDGET, || {
        let begin = Instant::now();
        let next = run(server, "++n", Some(&heap));
        measured.push(begin.elapsed());
        heap = next;
    });
    let Cpu {
        own_secs,
        beneath_secs,
    } = cpu(server.pid());
    let each = |secs: f64| rounded(secs * 1000.0 / measured.len() as f64);
    Chain {
        server_cpu_ms_each: each(own_secs - before.own_secs),
        worker_cpu_ms_each: each(beneath_secs - before.beneath_secs),
        latency: Distribution::new(measured),
    }
}

fn run(server: &mut Server, code: &str, heap: Option<&str>) -> String {
    let mut arguments = json!({"code": code, "wait_ms": 50_000, "heap_memory_max_mb": 64});
    if let Some(heap) = heap {
        arguments["heap"] = json!(heap);
    }
    let seen = server.call("run_js", arguments);
    let heap = seen["heap"].as_str();
    heap.unwrap_or_else(|| panic!("{seen}")).to_owned()
}
