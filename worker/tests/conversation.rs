//! The worker's half of the conversation, over streams in memory.

use std::cell::RefCell;
use std::io::{self, Cursor, Read, Write};
use std::rc::Rc;
use std::time::Instant;

use mcp_v8_protocol::codec::{FrameReader, encode};
use mcp_v8_protocol::limits::{CONSOLE_CHUNK_BYTES_MAX, FRAME_TO_WORKER_BYTES_MAX};
use mcp_v8_protocol::message::{
    Confinement, ExecutionLimits, FailureKind, Finished, FromWorker, Grants, HeapUse, Start,
    ToWorker,
};
use mcp_v8_protocol::phase::Phase;
use mcp_v8_worker::conversation::{ConversationError, End, Limiter, Prepared, converse};
use mcp_v8_worker::input::Input;
use mcp_v8_worker::runtime::Realm;

const LIMITS: ExecutionLimits = ExecutionLimits {
    heap_bytes: 32 << 20,
    buffer_bytes: 8 << 20,
    cpu_seconds: 60,
    snapshot_bytes: 0,
};

#[derive(Clone, Default)]
struct Pipe(Rc<RefCell<Vec<u8>>>);

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Gives its bytes one by one.
struct Drip(Cursor<Vec<u8>>);

impl Read for Drip {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(&mut into[..1])
    }
}

impl Input for Drip {
    fn wait(&mut self, _: Option<Instant>) -> io::Result<bool> {
        Ok(true)
    }
}

fn start(source: &str) -> Vec<u8> {
    let source = source.to_owned();
    encode(&ToWorker::Start(Start {
        source,
        limits: LIMITS,
        heap: HeapUse::Discard,
        grants: Grants::default(),
    }))
    .expect("it is within the limits")
}

/// Keeps to nothing: the limits are this test's own process's.
struct Lenient;

impl Limiter for Lenient {
    fn tighten(&self, _: &ExecutionLimits, _: HeapUse) {}
    fn make_room_to_save(&self) {}
}

/// What the worker said, and how the conversation ended.
fn hold(input: impl Input + 'static) -> (Vec<FromWorker>, Result<End, ConversationError>) {
    let pipe = Pipe::default();
    let end = converse(
        input,
        pipe.clone(),
        || {
            let prepared = Prepared::Stateless(Realm::for_run());
            (prepared, Confinement::default())
        },
        &Lenient,
    );
    let mut frames = FrameReader::default();
    frames.push(&pipe.0.borrow());
    let mut said = Vec::new();
    while let Some(message) = frames
        .next_message()
        .expect("a worker keeps to the protocol")
    {
        said.push(message);
    }
    assert!(!frames.is_mid_frame());
    (said, end)
}

#[test]
fn hello_console_finished() {
    let input = start("console.log('a'); console.warn('b'); 6 * 7");
    let (said, end) = hold(Drip(Cursor::new(input)));
    assert_eq!(end.expect("a whole conversation"), End::Finished);
    let mut phase = Phase::Booting
        .on_from_worker(&said[0])
        .expect("Hello is first");
    phase = phase
        .on_to_worker(&ToWorker::Start(Start {
            source: String::new(),
            limits: LIMITS,
            heap: HeapUse::Discard,
            grants: Grants::default(),
        }))
        .expect("then Start");
    let mut output = String::new();
    for message in &said[1..] {
        phase = phase
            .on_from_worker(message)
            .expect("each is legal in its turn");
        if let FromWorker::Console(console) = message {
            output.push_str(&console.text);
        }
    }
    assert_eq!(phase, Phase::Done);
    assert_eq!(output, "a\n[WARN] b\n");
    let Some(FromWorker::Finished(Finished::Completed(done))) = said.last() else {
        panic!("{said:?}")
    };
    assert_eq!(
        (done.result.text.as_str(), done.preview.text.as_str()),
        ("42", "42")
    );
}

#[test]
fn a_long_line_travels_in_bounded_pieces_of_whole_characters() {
    let input = start("console.log('é'.repeat(100_000))");
    let (said, _) = hold(Cursor::new(input));
    let pieces: Vec<&str> = said
        .iter()
        .filter_map(|message| match message {
            FromWorker::Console(console) => Some(console.text.as_str()),
            FromWorker::Hello(_)
            | FromWorker::Fetch(_)
            | FromWorker::Finished(_)
            | FromWorker::Saved(_)
            | FromWorker::Unsaved(_) => None,
        })
        .collect();
    assert!(
        pieces.len() > 2
            && pieces
                .iter()
                .all(|text| text.len() <= CONSOLE_CHUNK_BYTES_MAX)
    );
    assert_eq!(pieces.concat(), format!("{}\n", "é".repeat(100_000)));
}

#[test]
fn a_supervisor_that_goes_away_before_start_is_no_error() {
    let (said, end) = hold(Cursor::new(b""));
    assert_eq!(end.expect("nothing was broken"), End::NotNeeded);
    assert!(matches!(said[..], [FromWorker::Hello(_)]));
}

#[test]
fn a_supervisor_that_breaks_the_protocol_is_refused() {
    let whole = start("1");
    let two = [whole.clone(), whole.clone()].concat();
    let too_long = u32::try_from(FRAME_TO_WORKER_BYTES_MAX + 1)
        .expect("a frame's length")
        .to_le_bytes();
    for (input, what) in [
        (&whole[..whole.len() - 1], "cannot talk"),
        (&two[..], "more than one message"),
        (&too_long[..], "above the limit"),
        (&[1, 0, 0, 0, 9][..], "no message"),
    ] {
        let (said, end) = hold(Cursor::new(input.to_vec()));
        let error = end.expect_err("it is refused").to_string();
        assert!(error.contains(what), "{error}");
        assert_eq!(said.len(), 1, "nothing is run: {said:?}");
    }
}

#[test]
fn a_script_that_fails_is_a_result() {
    let (said, end) = hold(Cursor::new(start("null.x")));
    assert_eq!(end.expect("a whole conversation"), End::Finished);
    let Some(FromWorker::Finished(Finished::Failed(failure))) = said.last() else {
        panic!("{said:?}")
    };
    assert_eq!(failure.kind, FailureKind::Exception);
    assert!(
        failure.error.text.contains("<anonymous>:1:6"),
        "{}",
        failure.error.text
    );
}
