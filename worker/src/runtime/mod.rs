//! The runtime: one isolate, one context, web globals, and the means to run one script in it.
//!
//! # Why not `deno_core::JsRuntime`
//!
//! A stored heap is a V8 snapshot made on top of a V8 snapshot, again and again. deno_core's own
//! snapshot layer is made for one generation: it numbers its script sources as external strings in a
//! table that changes between generations (a crash at the second one as soon as a web script is
//! loaded), and it makes its op bindings anew each time (5.6 to 33 KB of growth a step). So isolate,
//! context, host functions and event loop are made here directly on `deno_core::v8`, the same for
//! executions with and without a heap, with
//!
//! * a fixed table of external references (`crate::web::ops` and the inspector's, in order);
//! * Deno's scripts for the web globals handed over as ordinary strings, each loaded at the first use
//!   of a global (`scripts`), so that a heap holds what its scripts used;
//! * V8's REPL mode for redeclaration, top-level await and the completion value together (`repl`);
//! * Deno's inspector for what values look like (`inspector_ops`).
//!
//! What that gives: a heap that only counts is 519 KB and grows by 27 bytes a generation; one whose script
//! uses URL, timers, console and TextEncoder each time is 772 KB and grows by 27 bytes a generation, 110 with a
//! `const` declared again in each. The thousandth generation takes as long as the first (`scripts/bench heaps`
//! says how long).
//! `tests/snapshots.rs` holds that, and `tests/fork.rs` that a warm runtime forks.
//!
//! # What isolates that make snapshots lack
//!
//! V8 leaves parts of the language out of them (`language` adds these), and WebAssembly
//! (`crate::web::wasm`). It also never optimises JavaScript in them: a script that computes takes about
//! ten times as long on a heap, unless it computes in WebAssembly. What they cannot store is found
//! before V8 is asked to, where that can be found ([`UnsavableHeap`]); `tests/heap_contents.rs` lists
//! what becomes of each kind of thing.
//!
//! # How a script runs
//!
//! ```text
//! source ─▶ typescript ─▶ repl::evaluate ─▶ event_loop::run_until_idle ─▶ Outcome
//!                              │                   │
//!                              └── console ────────┴──▶ Host
//! ```

mod buffers;
mod checksum;
pub(crate) mod engine;
mod errors;
mod event_loop;
mod exchanges;
mod heap;
mod heap_build;
mod heap_walk;
mod hooks;
mod inspector_ops;
mod language;
mod outcome;
mod position;
mod realm;
mod repl;
mod scripts;
mod side_by_side;
mod state;
mod timers;

pub use crate::web::wasm_preloaded::{PreloadError, Preloaded};
pub(crate) use engine::has_web_assembly;
pub use engine::{choose_tier, v8_version};
pub(crate) use errors::error_listener;
pub use heap_build::heap_build;
pub use heap_walk::plain_walks;
pub(crate) use inspector_ops::{InspectorOp, ops as lent_ops};
pub use outcome::Outcome;
pub(crate) use position::Position;
pub use realm::{Realm, Snapshot, UnsavableHeap};
pub(crate) use scripts::source;
pub use state::Host;
pub(crate) use state::State;
pub(crate) use timers::TimerId;
