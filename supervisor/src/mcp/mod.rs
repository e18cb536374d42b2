//! The Model Context Protocol: the tools, and the transports. Nothing else knows it.

mod arguments;
mod calls;
mod descriptions;
mod in_flight;
mod instructions;
mod message;
mod progress;
mod server;
pub mod stdio;
mod tools;

pub use server::Server;
pub use tools::{Defaults, ToolList};
