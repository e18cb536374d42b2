//! The Model Context Protocol: the tools, and the transports. Nothing else knows it.

mod admission;
mod arguments;
mod calls;
mod descriptions;
mod events;
pub mod http;
mod http_error;
mod in_flight;
mod instructions;
mod message;
mod posted;
mod progress;
mod server;
pub mod sse;
pub mod stdio;
mod tools;

pub use events::Pace;
pub use posted::BodyLimits;
pub use server::Server;
pub use tools::{Defaults, ToolList};
