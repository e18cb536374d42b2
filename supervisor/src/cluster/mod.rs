//! What lies between the nodes of a cluster: who they are, how they speak, how they come together.

mod inbox;
mod name;
mod options;
mod outbox;

pub use self::inbox::{Full, Inbox};
pub use self::name::{Address, Listed, NameError, NodeName};
pub use self::options::{Begin, ClusterConfig, Timing, Trust};
pub use self::outbox::Outbox;
