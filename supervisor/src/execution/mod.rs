//! The life of an execution: what may happen to it, and the one task that makes it happen.
//!
//! * [`state`]: the pure machine: events in, effects out.
//! * [`outcome`]: what an end means, in words.
//! * [`admission`]: slots and the queue before them.
//! * `alarm`: what an operator has to hear of a death.
//! * [`probe`]: whether workers can be started at all.
//! * [`driver`]: the task that owns an execution, performs the effects and publishes views.

pub mod admission;
mod alarm;
pub mod driver;
pub mod outcome;
mod output;
pub mod probe;
pub mod state;
