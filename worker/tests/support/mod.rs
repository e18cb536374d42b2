//! One generation of a heap, for the tests that chain them.

use mcp_v8_protocol::message::{ExecutionLimits, FromWorker};
use mcp_v8_worker::conversation::ConversationError;
use mcp_v8_worker::runtime::{Host, Outcome, Realm};

const LIMITS: ExecutionLimits = ExecutionLimits {
    heap_bytes: 32 << 20,
    buffer_bytes: 8 << 20,
    cpu_seconds: 60,
    snapshot_bytes: 0,
};

struct Silent;

impl Host for Silent {
    fn console(&mut self, _text: &str) {}
    fn finished(&mut self, _message: &FromWorker) -> Result<(), ConversationError> {
        Ok(())
    }
    fn heap_limit_reached(&mut self) -> ! {
        panic!("the heap limit was reached")
    }
}

/// A heap as bytes.
pub(crate) type Snapshot = Vec<u8>;

/// Runs a script on a heap; gives its value and the heap that it leaves.
pub(crate) fn step(heap: Option<Snapshot>, source: &str) -> (String, Snapshot) {
    let realm = Realm::for_heap();
    let mut realm = match heap {
        None => realm,
        Some(heap) => realm.with_heap(heap.into()),
    };
    let outcome = realm.run(source, &LIMITS, Box::new(Silent));
    drop(realm.take_host());
    let Outcome::Completed { result, .. } = outcome else {
        panic!("{outcome:?}")
    };
    let snapshot = realm.into_snapshot().expect("this heap can be stored");
    (result, snapshot.to_vec())
}
