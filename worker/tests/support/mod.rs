//! One generation of a heap, for the tests that chain them.

use mcp_v8_protocol::message::{ExecutionLimits, FromWorker};
use mcp_v8_worker::conversation::ConversationError;
use mcp_v8_worker::runtime::{Host, Outcome, Realm, Snapshot};

const LIMITS: ExecutionLimits = ExecutionLimits {
    heap_bytes: 32 << 20,
    buffer_bytes: 8 << 20,
    cpu_seconds: 60,
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

/// Runs a script on a heap; gives its value and the heap that it leaves.
pub(crate) fn step(heap: Option<Snapshot>, source: &str) -> (String, Snapshot) {
    let mut realm = Realm::for_heap(heap);
    let outcome = realm.run(source, &LIMITS, Box::new(Silent));
    drop(realm.take_host());
    let Outcome::Completed { result, .. } = outcome else {
        panic!("{outcome:?}")
    };
    (
        result,
        realm.into_snapshot().expect("this heap can be stored"),
    )
}
