//! Any bytes, cut in any way, are messages or an error; never a panic, and what is read encodes to
//! the very bytes that it was read from. Messages are legal in the order that a conversation has, and
//! in no other.
//!
//! The first byte says how to read the rest: bit 0 the direction, bit 7 whether the heap is kept, the
//! bits between the piece length.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mcp_v8_protocol::codec::{FrameReader, Message, encode};
use mcp_v8_protocol::limits::SOURCE_BYTES_MAX;
use mcp_v8_protocol::message::{
    ExecutionLimits, Finished, FromWorker, Grants, HeapUse, Start, ToWorker,
};
use mcp_v8_protocol::phase::Phase;

fuzz_target!(|input: &[u8]| {
    let Some((how, stream)) = input.split_first() else {
        return;
    };
    let piece_bytes = match usize::from(how >> 1 & 0x3f) {
        0 => stream.len().max(1),
        bytes => bytes,
    };
    if how & 1 == 0 {
        let mut supervisor = Supervisor(Phase::Parked);
        read::<ToWorker>(stream, piece_bytes, |message| supervisor.hear(message));
    } else {
        let mut worker = Worker::new(how >> 7 == 1);
        read::<FromWorker>(stream, piece_bytes, |message| worker.hear(message));
    }
});

/// Reads until the bytes are no message, or one is not legal.
fn read<M: Message>(stream: &[u8], piece_bytes: usize, mut is_legal: impl FnMut(&M) -> bool) {
    let mut reader = FrameReader::<M>::default();
    let mut read = 0;
    for piece in stream.chunks(piece_bytes) {
        reader.push(piece);
        loop {
            match reader.next_message() {
                Ok(Some(message)) => {
                    let frame = encode(&message).expect("a message that was read can be written");
                    assert_eq!(stream[read..read + frame.len()], frame);
                    read += frame.len();
                    if !is_legal(&message) {
                        return;
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(reader.next_message().err(), Some(error));
                    return;
                }
            }
        }
    }
}

/// What a parked worker hears.
struct Supervisor(Phase);

impl Supervisor {
    fn hear(&mut self, message: &ToWorker) -> bool {
        let is_first = self.0 == Phase::Parked;
        let next = self.0.on_to_worker(message);
        match message {
            ToWorker::Start(start) => {
                assert!(start.source.len() <= SOURCE_BYTES_MAX);
                assert_eq!(next.is_ok(), is_first, "one Start, and it comes first");
            }
            ToWorker::Fetch(_) => assert_eq!(next.is_ok(), !is_first, "no reply before Start"),
        }
        next.map(|phase| self.0 = phase).is_ok()
    }
}

/// What a supervisor hears, which says Start right after Hello; beside the machine, what was said so
/// far in plain words.
struct Worker {
    phase: Phase,
    keeps_heap: bool,
    has_hello: bool,
    has_finished: bool,
    is_saving: bool,
}

impl Worker {
    fn new(keeps_heap: bool) -> Self {
        Self {
            phase: Phase::Booting,
            keeps_heap,
            has_hello: false,
            has_finished: false,
            is_saving: false,
        }
    }

    fn hear(&mut self, message: &FromWorker) -> bool {
        let is_legal = match message {
            FromWorker::Hello(_) => !self.has_hello,
            FromWorker::Console(_) | FromWorker::Fetch(_) | FromWorker::Finished(_) => {
                self.has_hello && !self.has_finished
            }
            FromWorker::Saved(_) | FromWorker::Unsaved(_) => self.is_saving,
        };
        let next = self.phase.on_from_worker(message);
        assert_eq!(next.is_ok(), is_legal, "{message:?} while {:?}", self.phase);
        let Ok(next) = next else { return false };
        self.phase = next;
        self.has_hello |= matches!(message, FromWorker::Hello(_));
        self.has_finished |= matches!(message, FromWorker::Finished(_));
        self.is_saving = self.keeps_heap
            && matches!(message, FromWorker::Finished(Finished::Completed(_)));
        if self.phase == Phase::Parked {
            let start = start(self.keeps_heap);
            self.phase = next.on_to_worker(&start).expect("it is parked");
        }
        true
    }
}

fn start(keeps_heap: bool) -> ToWorker {
    ToWorker::Start(Start {
        source: String::new(),
        limits: ExecutionLimits {
            heap_bytes: 0,
            buffer_bytes: 0,
            cpu_seconds: 0,
            snapshot_bytes: 0,
        },
        heap: if keeps_heap {
            HeapUse::New
        } else {
            HeapUse::Discard
        },
        grants: Grants { fetch: true },
    })
}
