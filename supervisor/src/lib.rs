//! The supervisor of mcp-v8: it accepts executions, runs each in a worker process of its own, and
//! keeps what they said.
//!
//! ```text
//! main ─▶ config     mcp | http ─▶ api ─▶ app ─▶ execution ─▶ workers ─▶ protocol
//!                                                    └──────▶ store
//! ```
//!
//! Arrows go one way: nothing knows what stands left of it. [`config`] and [`gc`] are seen by `main` alone.
//!
//! * [`mcp`]: the Model Context Protocol and its transports (standard streams, Streamable HTTP, HTTP+SSE);
//!   the only module that knows it.
//! * [`http`]: connections, who is let in, the REST API.
//! * [`api`]: JSON shapes, and conversions from the types of [`app`].
//! * [`app`]: the use cases, with errors that know no transport.
//! * [`execution`]: the life of one execution: a pure state machine, and one task that obeys it.
//! * [`workers`]: starting, hearing and ending worker processes, whose every byte is hostile.
//! * [`store`]: executions and their output in SQLite, written by one thread.
//! * [`heaps`]: stored heaps: their names, seals, and the places where they are kept.
//! * [`policy`]: who may do what.
//! * [`raft`]: the state that all nodes of a cluster share, and the log that keeps it equal.
//! * [`fetch`]: the requests of scripts.
//! * `outbound`: what all clients of other servers share.
//! * [`upstream`]: questions to servers of the operator.
//! * [`gc`]: what `mcp-v8 gc` says.
//! * [`limits`]: every bound of the service.

pub mod api;
pub mod app;
pub mod config;
pub mod execution;
pub mod fetch;
pub mod gc;
pub mod heaps;
pub mod http;
pub mod limits;
pub mod mcp;
mod outbound;
pub mod policy;
pub mod raft;
pub mod signals;
pub mod store;
pub mod telemetry;
pub mod upstream;
pub mod workers;
