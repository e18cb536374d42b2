//! The real worker, spoken to as the supervisor does.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use e2e::home::program;
use e2e::worker::{Started, spawn};
use mcp_v8_protocol::codec::{FrameReader, encode};
use mcp_v8_protocol::message::{ExecutionLimits, Finished, FromWorker, Start, ToWorker};

use crate::floor::{PARKED, mean_bytes};
use crate::statistics::{Distribution, repeat};

/// Workers that are started, one after another.
const SAMPLES: usize = 200;
/// How long they may take together.
const BUDGET: Duration = Duration::from_secs(20);
/// What an execution is given when nobody asks.
const HEAP_BYTES: u64 = 8 << 20;
const CPU_SECONDS: u32 = 32;

/// What a worker takes.
pub(crate) struct Worker {
    /// From exec to Hello.
    pub(crate) start: Distribution,
    /// From Start to Finished, in a worker that has said Hello.
    pub(crate) request: Distribution,
    /// Memory of a worker that has said Hello, in bytes (PSS).
    pub(crate) parked_bytes: Option<u64>,
}

/// Measures the worker.
pub(crate) fn measure() -> Worker {
    let path = program("mcp-v8-worker");
    let (mut start, mut request) = (Vec::new(), Vec::new());
    repeat(SAMPLES, BUDGET, || {
        let begin = Instant::now();
        let mut parked = Parked::start(&path);
        start.push(begin.elapsed());
        let asked = Instant::now();
        parked.run();
        request.push(asked.elapsed());
        parked.end();
    });
    let parked: Vec<Parked> = (0..PARKED).map(|_| Parked::start(&path)).collect();
    let parked_bytes = mean_bytes(parked.iter().map(|parked| parked.child.id()));
    parked.into_iter().for_each(Parked::end);
    Worker {
        start: Distribution::new(start),
        request: Distribution::new(request),
        parked_bytes,
    }
}

/// A worker that has said Hello.
struct Parked {
    child: std::process::Child,
    to_worker: File,
    from_worker: File,
    frames: FrameReader<FromWorker>,
}

impl Parked {
    fn start(path: &Path) -> Self {
        let Started {
            child,
            to_worker,
            from_worker,
        } = spawn(path).expect("the worker can be executed");
        let mut parked = Self {
            child,
            to_worker,
            from_worker,
            frames: FrameReader::default(),
        };
        let hello = parked.hear();
        assert!(matches!(hello, FromWorker::Hello(_)), "{hello:?}");
        parked
    }

    fn run(&mut self) {
        let start = ToWorker::Start(Start {
            source: "1 + 1".to_owned(),
            limits: ExecutionLimits {
                heap_bytes: HEAP_BYTES,
                buffer_bytes: HEAP_BYTES,
                cpu_seconds: CPU_SECONDS,
            },
        });
        let frame = encode(&start).expect("within the limits");
        self.to_worker.write_all(&frame).expect("it reads");
        match self.hear() {
            FromWorker::Finished(Finished::Completed(done)) => assert_eq!(done.result.text, "2"),
            other => panic!("{other:?}"),
        }
    }

    fn hear(&mut self) -> FromWorker {
        let mut bytes = [0; 4096];
        loop {
            if let Some(message) = self.frames.next_message().expect("a message") {
                return message;
            }
            let read = self.from_worker.read(&mut bytes).expect("it speaks");
            assert!(read > 0, "the worker has gone");
            self.frames.push(&bytes[..read]);
        }
    }

    fn end(mut self) {
        drop(self.to_worker);
        let status = self.child.wait().expect("our own child");
        assert!(status.success(), "{status}");
    }
}
