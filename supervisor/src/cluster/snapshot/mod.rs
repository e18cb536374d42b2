//! Snapshots between nodes: files that are sent in pieces, and verified before anybody believes in them.
//!
//! * [`manifest`]: what names a file: its length and its SHA-256.
//! * [`shelf`]: where files arrive.
//! * [`sender`]: how one is sent.

mod manifest;
pub(super) mod sender;
pub(super) mod shelf;

pub use self::manifest::{Manifest, NoManifest};
