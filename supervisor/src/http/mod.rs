//! HTTP: the connections, who is let in, and what is where. What is said on `/mcp` is said elsewhere: here it is a
//! router like others.
//!
//! ```text
//! listen (connections, TLS) ─▶ metrics ─▶ guard (Host, Origin) ─▶ access (caller) ─▶ early ─▶ body ─▶ in_flight ─▶ rest | mcp
//!                                     │                      ├─▶ metadata
//!                                     │                      └─▶ console
//!                                     └─▶ health
//! ```

mod access;
mod body;
mod connections;
mod console;
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

pub use access::Access;
pub use guard::{AllowedHosts, AllowedOrigins, HostPattern, Malformed, Origin};
pub use listen::raise_descriptors;
pub use peer::Peer;
pub use server::{BindError, HttpConfig, Listening, Serving, Surface};
pub(crate) use tls::FileMark;
pub use tls::{TlsError, TlsFiles, Validity};
