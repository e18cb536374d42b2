//! The Model Context Protocol: tools, resources, completion and tasks, and the stdio transport.
//! Nothing else knows it.

mod calls;
mod completion;
mod descriptions;
mod era;
mod fit;
mod instructions;
mod progress;
mod refusal;
mod resource_uri;
mod resources;
mod server;
pub mod stdio;
mod tasks;
mod tools;

pub use server::Server;
pub use tools::{Defaults, ToolList};
