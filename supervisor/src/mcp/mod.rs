//! The Model Context Protocol: the tools, and the stdio transport. Nothing else knows it.

mod calls;
mod descriptions;
mod instructions;
mod progress;
mod server;
pub mod stdio;
mod tools;

pub use server::Server;
pub use tools::{Defaults, ToolList};
