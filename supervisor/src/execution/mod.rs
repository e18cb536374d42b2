//! The life of an execution: what may happen to it, and the one task that makes it happen.
//!
//! * [`state`]: the pure machine: events in, effects out.
//! * [`event`]: the events and the effects.
//! * [`outcome`]: what an end means, in words.
//! * `heap`: the heap that it continues, and the one that it leaves.
//! * `heap_loss`: why a heap was not saved, in words.
//! * [`admission`]: slots and the queue before them.
//! * `course`: what is counted of it, and the spans of its phases.
//! * `alarm`: what an operator has to hear of a death.
//! * [`modules`]: whether V8 takes the WebAssembly modules that the operator preloads.
//! * [`probe`]: whether workers can be started at all.
//! * `spent`: what it has used.
//! * `held`: its worker, as far as it has come.
//! * `exchanges`: the requests that its script makes.
//! * [`driver`]: the task that owns an execution, performs the effects and publishes views.

pub mod admission;
mod alarm;
pub(crate) mod course;
pub mod driver;
pub mod event;
mod exchanges;
mod heap;
mod heap_loss;
mod held;
pub mod modules;
pub mod outcome;
mod output;
pub mod probe;
mod services;
mod spent;
pub mod state;
