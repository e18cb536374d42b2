//! One node of a cluster: the thread that obeys [`crate::raft::core`], and what it is joined to.
//!
//! ```text
//! other nodes ─▶ Inbox ─▶ driver: one thread, the core and raft.db ─▶ Outbox ─▶ other nodes
//! Handle ──────▶          └─▶ the store's writer: applies, installs
//! ```
//!
//! * [`inbox`]: what happens to the node, from whoever hears of it.
//! * [`outbox`]: what the node says, to whoever carries it.

pub mod inbox;
pub mod outbox;
