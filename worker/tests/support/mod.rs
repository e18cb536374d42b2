//! One generation of a heap, for the tests that chain them; the same script in both modes; a process
//! of its own for what might end it.
#![allow(dead_code, reason = "each test program uses a part")]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::cell::RefCell;
use std::process::{Command, Output};
use std::rc::Rc;

use mcp_v8_protocol::message::{ExecutionLimits, FromWorker};
use mcp_v8_worker::conversation::ConversationError;
use mcp_v8_worker::runtime::{Host, Outcome, Realm, UnsavableHeap};

/// A heap as bytes.
type Snapshot = Vec<u8>;

const LIMITS: ExecutionLimits = ExecutionLimits {
    heap_bytes: 32 << 20,
    buffer_bytes: 8 << 20,
    cpu_seconds: 60,
    snapshot_bytes: 0,
};

/// Keeps what a script writes to the console.
#[derive(Clone, Default)]
struct Notes(Rc<RefCell<String>>);

impl Host for Notes {
    fn console(&mut self, text: &str) {
        self.0.borrow_mut().push_str(text);
    }
    fn finished(&mut self, _message: &FromWorker) -> Result<(), ConversationError> {
        Ok(())
    }
    fn heap_limit_reached(&mut self) -> ! {
        let text = b"the heap limit was reached";
        // SAFETY: writes a text, and ends the process without looking back: V8 may be anywhere.
        unsafe {
            libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len());
            libc::_exit(1)
        }
    }
}

/// Runs a script; gives what it wrote, and its value or error.
pub(crate) fn run(realm: &mut Realm, source: &str) -> (String, Outcome) {
    let notes = Notes::default();
    let outcome = realm.run(source, &LIMITS, Box::new(notes.clone()));
    drop(realm.take_host());
    let written = notes.0.take();
    (written, outcome)
}

/// Runs a script on a heap; gives its value and the heap that it leaves.
pub(crate) fn step(heap: Option<Snapshot>, source: &str) -> (String, Snapshot) {
    let (result, heap) = try_step(heap, source);
    (result, heap.expect("this heap can be stored"))
}

/// As [`step`], with a heap that need not be storable.
pub(crate) fn try_step(
    heap: Option<Snapshot>,
    source: &str,
) -> (String, Result<Snapshot, UnsavableHeap>) {
    let mut realm = Realm::for_heap(heap.map(Into::into));
    let (_, outcome) = run(&mut realm, source);
    match outcome {
        Outcome::Completed { result, .. } => {
            (result, realm.into_snapshot().map(|heap| heap.to_vec()))
        }
        Outcome::Failed { error, .. } => {
            // Nobody keeps what a script left that failed; V8 insists on a snapshot else.
            std::mem::forget(realm);
            panic!("{error}")
        }
    }
}

/// What became of a script on a heap.
pub(crate) fn outcome(heap: Option<Snapshot>, source: &str) -> Outcome {
    let mut realm = Realm::for_heap(heap.map(Into::into));
    let (_, outcome) = run(&mut realm, source);
    std::mem::forget(realm);
    outcome
}

/// All that a script says: in a runtime whose heap is not kept, and on a fresh heap, which can be
/// stored.
pub(crate) fn both(source: &str) -> (String, String) {
    let told = |(written, outcome): (String, Outcome)| match outcome {
        Outcome::Completed { result, preview } => format!("{written}{preview}\n{result}"),
        Outcome::Failed { kind, error } => format!("{written}{kind:?}: {error}"),
    };
    let without = told(run(&mut Realm::for_run(), source));
    let mut realm = Realm::for_heap(None);
    let ran = run(&mut realm, source);
    match ran.1 {
        Outcome::Completed { .. } => drop(realm.into_snapshot().expect(source)),
        // Nobody keeps what a script left that failed; V8 insists on a snapshot else.
        Outcome::Failed { .. } => std::mem::forget(realm),
    }
    (without, told(ran))
}

/// Names what a process was started for.
const PART: &str = "MCP_V8_TEST_PART";

/// The part of a test that this process was started for by [`in_a_process`].
pub(crate) fn part() -> Option<String> {
    std::env::var(PART).ok()
}

/// Runs this test program again, with `test` alone and [`part`] set.
pub(crate) fn in_a_process(test: &str, part: &str) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(PART, part)
        .env("RUST_BACKTRACE", "0")
        .output()
        .unwrap()
}
