//! Heaps between nodes that keep them in directories of their own.
//!
//! ```text
//! Heaps ─▶ HeapPeers (asks) ─▶ line ══ /raft/heaps ══▶ Counter (answers) ─▶ Keeper
//!                └──────────── words: what is said, in pieces ──┘ └─ transfers: what is half said
//! ```
//!
//! Nothing is kept whose SHA-256 is not the name that was asked for or brought. Both ends hold a bounded
//! number of heaps at once.

#[cfg(test)]
mod copies_tests;
mod counter;
mod experience;
mod find;
#[cfg(test)]
mod hostile_tests;
mod order;
mod peers;
#[cfg(test)]
mod tests;
mod transfers;
mod words;

pub(super) use self::counter::Counter;
pub use self::peers::HeapPeers;
