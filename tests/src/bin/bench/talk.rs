//! A worker that has said Hello, spoken to as the supervisor does.

use std::fs::File;
use std::io::{Read, Write};

use mcp_v8_protocol::codec::{FrameReader, encode};
use mcp_v8_protocol::message::{
    ExecutionLimits, Finished, FromWorker, Grants, HeapUse, Start, ToWorker,
};

/// What an execution is given when nobody asks.
const HEAP_BYTES: u64 = 8 << 20;
const CPU_SECONDS: u32 = 32;

/// Both pipes of a worker that is ready.
pub(crate) struct Talk {
    to_worker: File,
    from_worker: File,
    frames: FrameReader<FromWorker>,
}

impl Talk {
    /// Hears its Hello.
    pub(crate) fn open(to_worker: File, from_worker: File) -> Self {
        let mut talk = Self {
            to_worker,
            from_worker,
            frames: FrameReader::default(),
        };
        let hello = talk.hear();
        assert!(matches!(hello, FromWorker::Hello(_)), "{hello:?}");
        talk
    }

    /// `1 + 1`, there and back.
    pub(crate) fn run(&mut self) {
        self.run_that("1 + 1", Grants::default());
    }

    /// A script whose value is 2, with what it may ask for.
    pub(crate) fn run_that(&mut self, source: &str, grants: Grants) {
        let start = ToWorker::Start(Start {
            source: source.to_owned(),
            limits: ExecutionLimits {
                heap_bytes: HEAP_BYTES,
                buffer_bytes: HEAP_BYTES,
                cpu_seconds: CPU_SECONDS,
                snapshot_bytes: 0,
            },
            heap: HeapUse::Discard,
            grants,
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
}
