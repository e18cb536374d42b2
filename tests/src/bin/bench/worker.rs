//! The real worker, executed or forked, with its whole jail.

use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use e2e::home::program;
use e2e::processes;
use e2e::worker::{Started, spawn};
use e2e::zygote::Zygote;
use mcp_v8_protocol::message::Grants;
use mcp_v8_protocol::zygote::{Ending, Exited};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use nix::unistd::Pid;

use crate::floor::{PARKED, mean_bytes};
use crate::statistics::{Distribution, repeat};
use crate::talk::Talk;

/// Workers that are started, one after another.
const SAMPLES: usize = 200;
/// The same of those that are forked, which takes less.
const FORKED_SAMPLES: usize = 1000;
/// How long they may take together.
const BUDGET: Duration = Duration::from_secs(20);

/// What a worker takes.
pub(crate) struct Worker {
    /// From exec or fork to Hello.
    pub(crate) start: Distribution,
    /// From Start to Finished, in a worker that has said Hello.
    pub(crate) request: Distribution,
    /// CPU time from exec or fork to the reaped end, of the fork server too.
    pub(crate) cpu: Distribution,
    /// Memory of a worker that has said Hello, in bytes (PSS).
    pub(crate) parked_bytes: Option<u64>,
}

/// Measures workers that are executed.
pub(crate) fn executed() -> Worker {
    let path = program("mcp-v8-worker");
    let (mut start, mut request, mut cpu) = (Vec::new(), Vec::new(), Vec::new());
    repeat(SAMPLES, BUDGET, || {
        let before = children_cpu();
        let begin = Instant::now();
        let (child, mut talk) = execute(&path);
        start.push(begin.elapsed());
        let asked = Instant::now();
        talk.run();
        request.push(asked.elapsed());
        end(child, talk);
        cpu.push(children_cpu().saturating_sub(before));
    });
    let parked: Vec<_> = (0..PARKED).map(|_| execute(&path)).collect();
    let parked_bytes = mean_bytes(parked.iter().map(|(child, _)| child.id()));
    for (child, talk) in parked {
        end(child, talk);
    }
    Worker {
        start: Distribution::new(start),
        request: Distribution::new(request),
        cpu: Distribution::new(cpu),
        parked_bytes,
    }
}

fn execute(path: &Path) -> (Child, Talk) {
    let Started {
        child,
        to_worker,
        from_worker,
        window: _,
    } = spawn(path, &[]).expect("the worker can be executed");
    (child, Talk::open(to_worker, from_worker))
}

fn end(mut child: Child, talk: Talk) {
    drop(talk);
    let status = child.wait().expect("our own child");
    assert!(status.success(), "{status}");
}

/// CPU time of children that are reaped.
fn children_cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("it is told");
    let micros = (usage.user_time() + usage.system_time()).num_microseconds();
    Duration::from_micros(micros.unsigned_abs())
}

/// Measures workers that a fork server forks.
pub(crate) fn forked() -> Worker {
    let mut forking = Forking::new();
    let (mut start, mut request, mut cpu) = (Vec::new(), Vec::new(), Vec::new());
    repeat(FORKED_SAMPLES, BUDGET, || {
        let life = forking.life();
        start.push(life.start);
        request.push(life.request);
        cpu.push(life.cpu);
    });
    Worker {
        start: Distribution::new(start),
        request: Distribution::new(request),
        cpu: Distribution::new(cpu),
        parked_bytes: forking.parked_bytes(),
    }
}

fn spent(exited: Exited) -> Duration {
    assert_eq!(exited.ending, Ending::Code(0));
    Duration::from_micros(exited.usage.user_us + exited.usage.system_us)
}

/// Executes workers, one for each script.
pub(crate) struct Executing {
    path: PathBuf,
}

impl Executing {
    pub(crate) fn new() -> Self {
        Self {
            path: program("mcp-v8-worker"),
        }
    }

    /// The CPU time of a worker that runs this.
    pub(crate) fn run(&mut self, source: &str, grants: Grants) -> Duration {
        let before = children_cpu();
        let (child, mut talk) = execute(&self.path);
        talk.run_that(source, grants);
        end(child, talk);
        children_cpu().saturating_sub(before)
    }
}

/// Has workers forked, one for each script.
pub(crate) struct Forking {
    zygote: Zygote,
    pid: Pid,
}

impl Forking {
    pub(crate) fn new() -> Self {
        let zygote = Zygote::start(&program("mcp-v8-worker"), &[]).expect("the fork server serves");
        let pid = Pid::from_raw(zygote.child.id().cast_signed());
        Self { zygote, pid }
    }

    /// A worker that runs `1 + 1`.
    pub(crate) fn life(&mut self) -> Life {
        let before = processes::cpu(self.pid);
        let begin = Instant::now();
        let mut talk = self.fork();
        let start = begin.elapsed();
        let asked = Instant::now();
        talk.run();
        let request = asked.elapsed();
        Life {
            start,
            request,
            cpu: self.end(talk, before),
        }
    }

    /// The CPU time of a worker that runs this, and of the fork server for it.
    pub(crate) fn run(&mut self, source: &str, grants: Grants) -> Duration {
        let before = processes::cpu(self.pid);
        let mut talk = self.fork();
        talk.run_that(source, grants);
        self.end(talk, before)
    }

    /// A worker that has said Hello.
    fn fork(&mut self) -> Talk {
        let forked = self.zygote.fork().expect("it forks");
        Talk::open(forked.to_worker, forked.from_worker)
    }

    /// Lets a worker go, which waits until nobody needs it: its CPU time, and that of the fork server since then.
    fn end(&mut self, talk: Talk, before: Duration) -> Duration {
        drop(talk);
        let worker = spent(self.zygote.exited().expect("it tells"));
        worker + processes::cpu(self.pid).saturating_sub(before)
    }

    fn parked_bytes(&mut self) -> Option<u64> {
        let parked: Vec<_> = (0..PARKED).map(|_| self.fork()).collect();
        let workers = processes::children(self.pid);
        let bytes = mean_bytes(workers.iter().map(|entry| entry.pid.unsigned_abs()));
        drop(parked);
        bytes
    }
}

/// What a worker took that ran `1 + 1`.
pub(crate) struct Life {
    /// From fork to Hello.
    start: Duration,
    /// From Start to Finished.
    pub(crate) request: Duration,
    /// CPU time from fork to the reaped end, of the fork server too.
    cpu: Duration,
}
