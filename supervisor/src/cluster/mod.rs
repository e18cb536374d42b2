//! What lies between the nodes of a cluster: who they are, how they speak, how they come together.
//!
//! ```text
//! driver ─ Outbox ─▶ endpoint ─▶ link: queue ─▶ line ══▶ listener ─▶ routes: gate ─▶ Inbox ─▶ driver
//!                                      (three to each node)            │
//!                                                                      trust: who is it?
//! ```
//!
//! * `options`, `name`, `peer`: what an operator decides, and what nodes are called.
//! * `trust`: who is a node.
//! * `listener`, `seats`, `routes`: what others say to this node.
//! * `endpoint`, `link`, `queue`, [`batch`], `line`: what this node says to others.
//! * `snapshot`: files between nodes.
//! * [`bootstrap`], `questions`: how a node comes to a cluster.
//! * `control`, `inbox`, `outbox`: what the node itself is to all of this.
//!
//! Every byte that comes is hostile until its sender has shown who it is, and bounded after that too. The
//! algorithm sends again whatever is lost: so what there is no room for is dropped, and said to be.

pub mod batch;
pub mod bootstrap;
mod control;
mod desk;
mod endpoint;
#[cfg(test)]
mod hostile_tests;
mod inbox;
mod line;
mod link;
mod listener;
mod local;
mod name;
mod options;
mod outbox;
mod peer;
mod questions;
mod queue;
mod roster;
mod routes;
#[cfg(test)]
mod sample_tests;
mod seats;
mod snapshot;
#[cfg(test)]
mod stand_tests;
#[cfg(test)]
mod transport_tests;
mod trust;

pub use self::control::{ClusterControl, NodeStatus, Role};
pub use self::endpoint::{Endpoint, EndpointError, Parts, Start, Transport};
pub use self::inbox::{Full, Inbox};
pub use self::name::{Address, Listed, NameError, NodeName};
pub use self::options::{Begin, ClusterConfig, Timing, Trust};
pub use self::outbox::Outbox;
pub use self::peer::Peer;
pub use self::questions::QuestionError;
pub use self::snapshot::{Manifest, NoManifest};
pub use self::trust::TrustError;
