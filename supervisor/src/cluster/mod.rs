//! One node of a cluster, and what lies between the nodes: who they are, how they speak, how they come
//! together.
//!
//! ```text
//! Handle ─▶ Inbox ─▶ driver: one thread, the core and raft.db ─▶ Outbox ─▶ endpoint ─▶ link: queue ─▶ line
//!             ▲        └─▶ the store's writer: applies, installs      (three to each node)              ║
//!             └─ routes: gate ◀─ listener ◀══════════════════════════════════════════════ other nodes ◀═╝
//!                         └─ trust: who is it?
//! ```
//!
//! The node, which obeys [`crate::raft::core`]:
//!
//! * `inbox`: what happens to it, from whoever hears of it.
//! * `outbox`: what it says, to whoever carries it.
//! * `files`: what it has on its disk, and in which order that changes.
//! * `times`: its clock.
//! * `driver`: its thread.
//! * `board`: what the thread tells others.
//! * `handle`, `control`: what the rest of a server asks of it.
//! * `member`: its life, with what lies between it and others.
//!
//! What lies between nodes:
//!
//! * `options`, `name`, `peer`: what an operator decides, and what nodes are called.
//! * `trust`: who is a node.
//! * `listener`, `pace`, `seats`, `room`, `routes`: what others say to this node; `hearing`: when they last
//!   did.
//! * `endpoint`, `link`, `queue`, [`batch`], `line`, `socket`: what this node says to others.
//! * `phone`, `lines`: what it asks them beside that.
//! * `heaps`: heaps that one has and another one needs.
//! * `snapshot`: files between nodes.
//! * [`bootstrap`], `questions`: how a node comes to a cluster.
//! * `operator`: whoever looks after one.
//!
//! Every byte that comes is hostile until its sender has shown who it is, and bounded after that too. The
//! algorithm sends again whatever is lost: so what there is no room for is dropped, and said to be.

pub mod batch;
mod board;
pub mod bootstrap;
#[cfg(test)]
mod bounds_tests;
mod control;
#[cfg(test)]
mod crash_log_tests;
#[cfg(test)]
mod crash_node_tests;
#[cfg(test)]
mod crash_tests;
mod desk;
mod driver;
mod endpoint;
pub mod files;
pub mod handle;
mod heaps;
mod hearing;
#[cfg(test)]
mod hostile_tests;
pub mod inbox;
mod line;
mod lines;
mod link;
mod listener;
mod local;
mod member;
mod name;
mod operator;
mod options;
pub mod outbox;
mod pace;
mod peer;
mod phone;
#[cfg(test)]
mod phone_tests;
mod questions;
mod queue;
#[cfg(test)]
mod reload_tests;
mod room;
mod roster;
mod routes;
#[cfg(test)]
mod sample_tests;
mod seats;
mod snapshot;
mod socket;
#[cfg(test)]
mod stand_tests;
#[cfg(test)]
mod tests;
pub mod times;
#[cfg(test)]
mod transport_tests;
mod trust;

pub use self::board::{Standing, Status};
pub use self::control::{ClusterControl, NodeStatus, Role};
pub use self::driver::{DriverError, Kept};
pub use self::endpoint::{Endpoint, EndpointError, Parts, Start, Transport};
pub use self::heaps::HeapPeers;
pub use self::hearing::Hearing;
pub use self::inbox::{Full, Inbox};
pub use self::lines::QuestionKind;
pub use self::member::{Member, MemberError, NodeConfig, Opened};
pub use self::name::{Address, Listed, NameError, NodeName};
pub use self::operator::Operator;
pub use self::options::{Begin, ClusterConfig, Trust};
pub use self::outbox::Outbox;
pub use self::peer::Peer;
pub use self::phone::{Answers, Call, Phone, PhoneError};
pub use self::questions::QuestionError;
pub use self::times::Times;
pub use self::trust::TrustError;
