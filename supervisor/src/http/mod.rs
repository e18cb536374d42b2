//! HTTP: the connections, who is let in, and what is where. What is said on `/mcp` is said elsewhere: here it is a
//! router like others.
//!
//! ```text
//! listen (connections, TLS) ─▶ metrics ─▶ guard (Host, Origin) ─▶ entrance ─▶ rest | mcp
//!                                     │                      ├─▶ metadata
//!                                     │                      └─▶ console
//!                                     └─▶ health
//! waiting: all that is answered before a node has come into its cluster
//! entrance: access (caller) ─▶ trace ─▶ early ─▶ body ─▶ in_flight
//! ```

mod access;
mod body;
mod connections;
mod console;
mod entrance;
mod error;
mod error_code;
mod guard;
mod health;
mod in_flight;
mod listen;
mod metadata;
mod metrics;
mod peer;
mod refusal;
pub mod rest;
mod server;
mod tls;
mod trace;
mod until;
mod waiting;

pub use access::Access;
pub use access::NeedsScope;
pub use guard::{AllowedHosts, AllowedOrigins, HostPattern, Malformed, Origin};
pub use listen::raise_descriptors;
pub use peer::Peer;
pub use server::{BindError, HttpConfig, Listening, Serving, Surface};
pub(crate) use tls::FileMark;
pub use tls::{TlsError, TlsFiles, Validity};
