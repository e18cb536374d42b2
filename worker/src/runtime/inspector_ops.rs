//! Deno's value inspector, the one behind `console.log`, in contexts that are not deno_core's.
//!
//! The inspector is Rust inside deno_web and is published only as ops, and an op is bound to the
//! context record (`OpCtx`) of the runtime that it was registered with. So one deno_core runtime, the
//! donor, is made and kept for the life of the process; the ops' records are read from it, and the
//! same native functions are then bound into our own contexts.
//!
//! This holds for an op that takes its scope from the call: such an op works in the isolate that it
//! is called from, and uses its record only to reach `OpState`. The four below are such ops. Ops that
//! take the isolate from the record must never be bound here; that is why this list is closed, and
//! why `worker/src/web` has its own URL, encoding and other host functions.
//!
//! The inspector keeps handles of the calling isolate in the donor's `OpState`; [`forget`] drops them
//! before an isolate goes away or makes a snapshot.

use std::cell::RefCell;
use std::ffi::c_void;
use std::rc::Rc;

use deno_core::{JsRuntime, OpState, RuntimeOptions, v8};

use crate::runtime::engine::{self, Constants};

/// The ops that are bound, all of which take their scope from the call.
const NAMES: [&str; 4] = [
    "op_console_format_value",
    "op_console_inspect",
    "op_console_inspect_args",
    "op_console_quote_string",
];

/// A native function and the record that it expects as its data.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InspectorOp {
    pub(crate) name: &'static str,
    pub(crate) function: v8::FunctionCallback,
    pub(crate) record: *mut c_void,
}

struct Donor {
    ops: Vec<InspectorOp>,
    state: Rc<RefCell<OpState>>,
}

thread_local! {
    static DONOR: &'static Donor = Box::leak(Box::new(make_donor()));
}

/// The ops, in a fixed order.
pub(crate) fn ops() -> Vec<InspectorOp> {
    DONOR.with(|donor| donor.ops.clone())
}

/// Drops what the inspector remembers of the isolates that called it.
pub(crate) fn forget() {
    DONOR.with(|donor| *donor.state.borrow_mut() = OpState::new(None));
}

fn make_donor() -> Donor {
    engine::initialize();
    let found: Rc<RefCell<Vec<InspectorOp>>> = Rc::default();
    let seen = Rc::clone(&found);
    // deno_core tells a metrics function about each call of an op, with the op's record, before the
    // call does anything. So each op is called once, with arguments that it refuses.
    let metrics = move |_, _, decl: &deno_core::OpDecl| {
        let name = NAMES.into_iter().find(|name| *name == decl.name)?;
        let seen = Rc::clone(&seen);
        let note: deno_core::OpMetricsFn = Rc::new(move |record, _, _| {
            let mut seen = seen.borrow_mut();
            if seen.iter().any(|op| op.name == name) {
                return;
            }
            let [_, function, _, _] = record.external_references();
            // SAFETY: `external_references` documents its second entry as the op's slow function,
            // and every member of the union is one pointer.
            let function = unsafe { function.function };
            let record: *const deno_core::_ops::OpCtx = record;
            seen.push(InspectorOp {
                name,
                function,
                record: record.cast_mut().cast(),
            });
        });
        Some(note)
    };
    let tokio = match tokio::runtime::Builder::new_current_thread().build() {
        Ok(tokio) => tokio,
        Err(error) => unreachable!("a runtime without drivers needs nothing: {error}"),
    };
    let guard = tokio.enter();
    let constants = Constants::place();
    let mut donor = JsRuntime::new(RuntimeOptions {
        extensions: super::scripts::scriptless_extensions(),
        op_metrics_factory_fn: Some(Box::new(metrics)),
        create_params: Some(
            v8::CreateParams::default().set_code_range_size_in_bytes(engine::CODE_RANGE_BYTES),
        ),
        ..RuntimeOptions::default()
    });
    for name in NAMES {
        // The call fails by design; only that it was made matters.
        let _refused = donor.execute_script("<donor>", format!("Deno.core.ops.{name}()"));
    }
    let state = donor.op_state();
    drop((guard, constants));
    // The records and the state live as long as the donor, and the donor as long as the process.
    std::mem::forget(donor);
    let mut ops = found.borrow().clone();
    ops.sort_by_key(|op| op.name);
    assert_eq!(
        ops.len(),
        NAMES.len(),
        "deno_web publishes the inspector's ops under these names"
    );
    Donor { ops, state }
}
