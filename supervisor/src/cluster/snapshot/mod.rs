//! Snapshots between nodes: files that are sent in pieces, and verified before anybody believes in them.
//!
//! * [`shelf`]: where files arrive.
//! * [`sender`]: how one is sent.

pub(super) mod sender;
pub(super) mod shelf;
