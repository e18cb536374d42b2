//! The state that all nodes of a cluster share, and the log that keeps it equal, over the raft crate.
//!
//! ```text
//!              Event ─▶ core ─▶ Effect          threads, connections and files are the shell's
//!                        │ raft crate ─▶ log (in memory)
//!                        ▼
//!   codec ◀─ Send     Persist ─▶ raft.db     Apply ─▶ state::apply ─▶ State
//! ```
//!
//! * [`ids`], [`packet`], [`request`], [`command`]: what is named, sent, asked for and kept.
//! * [`codec`]: the bytes between nodes.
//! * [`log`]: what a node has promised, in memory and in `raft.db`.
//! * [`state`]: the one function that changes what all nodes know.
//! * [`core`]: a node without threads, sockets, files or clocks. The same code runs in a server and in
//!   the simulator that stands beside it.
//!
//! Nothing here knows of clients, protocols or executions.

pub mod codec;
pub mod command;
pub mod core;
pub mod ids;
pub mod log;
pub mod logger;
pub mod packet;
pub mod request;
#[cfg(test)]
#[allow(
    clippy::cast_possible_truncation,
    reason = "numbers of the simulator are small"
)]
pub(crate) mod simulation;
pub mod state;
