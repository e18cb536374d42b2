//! The supervisor of mcp-v8: it accepts executions, runs each in a worker process of its own, and
//! keeps what they said.
//!
//! ```text
//! main ─▶ config     mcp | http ─▶ api ─▶ app ─▶ execution ─▶ workers ─▶ protocol
//!                                                    └──────▶ store
//! ```
//!
//! Arrows go one way: nothing knows what stands left of it. [`config`] and [`gc`] are seen by `main` alone, and
//! `config` by [`reload`] and [`doctor`], which are seen by `main` alone too.
//!
//! * [`mcp`]: the Model Context Protocol and its transports (standard streams, Streamable HTTP, HTTP+SSE);
//!   the only module that knows it.
//! * [`http`]: connections, who is let in, the REST API.
//! * [`auth`]: who calls.
//! * [`api`]: JSON shapes, and conversions from the types of [`app`].
//! * [`app`]: the use cases, with errors that know no transport.
//! * [`tenant`]: whose everything is.
//! * [`execution`]: the life of one execution: a pure state machine, and one task that obeys it.
//! * [`workers`]: starting, hearing and ending worker processes, whose every byte is hostile.
//! * [`store`]: executions and their output in SQLite, written by one thread.
//! * [`heaps`]: stored heaps: their names, seals, and the places where they are kept.
//! * [`policy`]: who may do what.
//! * [`quota`]: what each tenant may use, and what it has used.
//! * [`raft`]: the state that all nodes of a cluster share, and the log that keeps it equal.
//! * [`cluster`]: one node of it, and what lies between nodes.
//! * [`fetch`]: the requests of scripts.
//! * `inbound`: what all that listens shares.
//! * `outbound`: what all clients of other servers share.
//! * [`upstream`]: questions to servers of the operator.
//! * [`reload`]: a new configuration for a server that runs.
//! * [`doctor`]: whether a server could run here, and what to do about it.
//! * [`telemetry`]: the log, and traces.
//! * [`metrics`]: what is counted, under which names.
//! * [`audit`]: who did what, in a file that tells of every change to it.
//! * [`private_file`]: who may get at a file with a secret.
//! * [`key_file`]: files with a secret key.
//! * [`gc`]: what `mcp-v8 gc` says.
//! * [`supervision`]: what a service manager is told.
//! * [`limits`]: every bound of the service.

pub mod api;
pub mod app;
pub mod audit;
pub mod auth;
pub mod cluster;
pub mod config;
#[cfg(test)]
#[allow(
    clippy::cast_possible_truncation,
    reason = "what is drawn is smaller than what it is drawn from"
)]
mod dice;
pub mod doctor;
pub mod execution;
pub mod fetch;
pub mod gc;
pub mod heaps;
mod hex;
pub mod http;
mod inbound;
pub mod key_file;
pub mod limits;
pub mod mcp;
pub mod metrics;
mod outbound;
#[cfg(test)]
#[allow(unreachable_pub, reason = "it is public where it stands")]
#[path = "../../tests/src/cluster/place.rs"]
mod place;
pub mod policy;
#[cfg(test)]
mod power;
pub mod private_file;
pub mod quota;
pub mod raft;
pub mod reload;
pub mod signals;
pub mod store;
pub mod supervision;
pub mod telemetry;
pub mod tenant;
pub mod upstream;
pub mod workers;
