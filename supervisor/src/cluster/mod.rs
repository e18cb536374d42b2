//! What lies between the nodes of a cluster: who they are, how they speak, how they come together.

pub mod batch;
mod inbox;
mod name;
mod options;
mod outbox;
mod peer;
mod queue;
mod roster;
#[cfg(test)]
mod sample;
mod seats;
mod trust;

pub use self::inbox::{Full, Inbox};
pub use self::name::{Address, Listed, NameError, NodeName};
pub use self::options::{Begin, ClusterConfig, Timing, Trust};
pub use self::outbox::Outbox;
pub use self::peer::Peer;
pub use self::trust::TrustError;
