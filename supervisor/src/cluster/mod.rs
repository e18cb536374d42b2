//! One node of a cluster: the thread that obeys [`crate::raft::core`], and what it is joined to.
//!
//! ```text
//! other nodes ─▶ Inbox ─▶ driver: one thread, the core and raft.db ─▶ Outbox ─▶ other nodes
//! Handle ──────▶          └─▶ the store's writer: applies, installs
//! ```
//!
//! * [`inbox`]: what happens to the node, from whoever hears of it.
//! * [`outbox`]: what the node says, to whoever carries it.
//! * [`files`]: what it has on its disk, and in which order that changes.
//! * [`times`]: its clock.
//! * `driver`: the thread.
//! * `board`: what the thread tells others.
//! * [`handle`]: what the rest of a server asks of it.

mod board;
mod driver;
pub mod files;
pub mod handle;
pub mod inbox;
pub mod outbox;
#[cfg(test)]
mod tests;
pub mod times;

pub use self::board::{Role, Standing, Status};
pub use self::driver::{DriverError, Kept};
