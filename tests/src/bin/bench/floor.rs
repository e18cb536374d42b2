//! What servers are held against: bare processes, a bare V8 isolate, and a warm runtime that forks. None of them has its memory
//! arranged, as a busy fork server has (`worker/src/zygote/huge_pages.rs`, `worker/src/runtime/side_by_side.rs`).

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use e2e::home::program;
use e2e::processes;
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::statistics::{Distribution, repeat, rounded};

/// A program that does nothing.
const NOTHING: &str = "/bin/true";
/// The example of the worker's crate.
const ISOLATE: &str = "examples/bare_isolate";
/// Another one.
const WARM_FORK: &str = "examples/warm_fork";
/// Forks of a warm runtime.
const FORKS: usize = 1000;
/// Measurements of one thing.
const SAMPLES: usize = 200;
/// How long one thing is measured at most.
const BUDGET: Duration = Duration::from_secs(10);
/// How long throughput is measured.
const THROUGHPUT_TIME: Duration = Duration::from_secs(3);
/// Processes that are parked at once when their memory is measured.
pub(crate) const PARKED: usize = 8;

/// Exec and exit of a program that does nothing.
pub(crate) fn process() -> Distribution {
    run_to_end(|| Command::new(NOTHING))
}

/// Exec of the worker program until it has said its version and is gone.
pub(crate) fn worker_version() -> Distribution {
    let worker = program("mcp-v8-worker");
    run_to_end(|| {
        let mut command = Command::new(&worker);
        command.arg("--version");
        command
    })
}

fn run_to_end(command: impl Fn() -> Command) -> Distribution {
    let mut measured = Vec::new();
    repeat(SAMPLES, BUDGET, || {
        let begin = Instant::now();
        run_once(command());
        measured.push(begin.elapsed());
    });
    Distribution::new(measured)
}

fn run_once(mut command: Command) {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
    assert!(status.is_ok_and(|status| status.success()), "{command:?}");
}

/// What the life of a warm fork takes.
pub(crate) struct Fork {
    /// From the fork to the reaped end.
    pub(crate) life: Distribution,
    /// CPU time of child and parent together.
    pub(crate) cpu: Distribution,
    /// The same of a fork that exits at once.
    pub(crate) bare_cpu: Distribution,
}

impl Fork {
    /// Everything, for the report.
    pub(crate) fn json(&self) -> Value {
        json!({
            "what": "fork of a warm runtime, 1 + 1, exit, reap; no jail",
            "life_ms": self.life.json(),
            "cpu_ms": self.cpu.json(),
            "cpu_of_the_fork_alone_ms": self.bare_cpu.json(),
        })
    }
}

/// Measures the floor of one execution: fork of a warm runtime, `1 + 1`, exit.
pub(crate) fn warm_fork() -> Fork {
    let (life, cpu) = warm_forks(&[]);
    let (_, bare_cpu) = warm_forks(&["idle"]);
    Fork {
        life,
        cpu,
        bare_cpu,
    }
}

/// Life and CPU time of many of them.
fn warm_forks(how: &[&str]) -> (Distribution, Distribution) {
    let output = Command::new(program(WARM_FORK))
        .arg(FORKS.to_string())
        .args(how)
        .stdin(Stdio::null())
        .output()
        .expect("the floor can be executed");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("it writes numbers");
    let mut pairs = Vec::new();
    for line in text.lines() {
        let mut times = line
            .split(' ')
            .map(|number| number.parse().expect("a number"));
        let mut next = || Duration::from_micros(times.next().expect("two numbers"));
        pairs.push((next(), next()));
    }
    let (life, cpu) = pairs.into_iter().unzip();
    (Distribution::new(life), Distribution::new(cpu))
}

/// What a bare isolate takes.
pub(crate) struct Isolate {
    /// From exec until it is ready.
    pub(crate) start: Distribution,
    /// `1 + 1`, there and back.
    pub(crate) request: Distribution,
    /// From exec over `1 + 1` to the end of the process.
    pub(crate) life: Distribution,
    /// Memory of one that is ready, in bytes (PSS).
    pub(crate) parked_bytes: Option<u64>,
}

/// Measures the bare isolate.
pub(crate) fn isolate() -> Isolate {
    let path = program(ISOLATE);
    let (mut start, mut request, mut life) = (Vec::new(), Vec::new(), Vec::new());
    repeat(SAMPLES, BUDGET, || {
        let begin = Instant::now();
        let mut bare = Bare::start(&path);
        start.push(begin.elapsed());
        let asked = Instant::now();
        bare.evaluate();
        request.push(asked.elapsed());
        bare.end();
        life.push(begin.elapsed());
    });
    let parked: Vec<Bare> = (0..PARKED).map(|_| Bare::start(&path)).collect();
    let parked_bytes = mean_bytes(parked.iter().map(|bare| bare.child.id()));
    parked.into_iter().for_each(Bare::end);
    Isolate {
        start: Distribution::new(start),
        request: Distribution::new(request),
        life: Distribution::new(life),
        parked_bytes,
    }
}

/// Processes that do nothing, a second, with one thread for each core to start them.
pub(crate) fn processes_per_sec(cores: usize) -> f64 {
    throughput(cores, || run_once(Command::new(NOTHING)))
}

/// Bare isolates that evaluate `1 + 1`, a second, with one thread for each core to start them.
pub(crate) fn isolates_per_sec(cores: usize) -> f64 {
    let path = program(ISOLATE);
    throughput(cores, || {
        let mut bare = Bare::start(&path);
        bare.evaluate();
        bare.end();
    })
}

fn throughput(threads: usize, once: impl Fn() + Sync) -> f64 {
    let begin = Instant::now();
    let worker = || {
        let mut count = 0_u32;
        while begin.elapsed() < THROUGHPUT_TIME {
            once();
            count += 1;
        }
        count
    };
    let count: u32 = thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        let ended = running.into_iter().map(|thread| thread.join());
        ended.map(|count| count.expect("no panic")).sum()
    });
    rounded(f64::from(count) / begin.elapsed().as_secs_f64())
}

/// The mean memory of processes, in bytes (PSS); `None` where the system does not tell.
pub(crate) fn mean_bytes(pids: impl Iterator<Item = u32>) -> Option<u64> {
    let each: Vec<u64> = pids
        .map(|pid| processes::proportional_bytes(Pid::from_raw(pid.cast_signed())))
        .collect::<Option<_>>()?;
    Some(each.iter().sum::<u64>() / each.len().max(1) as u64)
}

/// A process with a bare isolate, ready.
struct Bare {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Bare {
    fn start(path: &PathBuf) -> Self {
        let mut child = Command::new(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the bare isolate can be executed");
        let input = child.stdin.take().expect("piped");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let mut bare = Self {
            child,
            input,
            output,
        };
        assert_eq!(bare.line(), "ready");
        bare
    }

    fn evaluate(&mut self) {
        self.input.write_all(b"\n").expect("it reads");
        assert_eq!(self.line(), "2");
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("it answers");
        line.trim_end().to_owned()
    }

    fn end(mut self) {
        drop(self.input);
        let status = self.child.wait().expect("our own child");
        assert!(status.success(), "{status}");
    }
}
