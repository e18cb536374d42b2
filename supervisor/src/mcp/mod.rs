//! The Model Context Protocol: tools, resources, completion and tasks, and the transports. Nothing else
//! knows it.

mod admission;
mod answers;
mod calls;
mod completion;
mod descriptions;
mod era;
mod events;
mod fit;
pub mod http;
mod http_error;
mod in_flight;
mod instructions;
mod message;
mod posted;
mod progress;
mod refusal;
mod resource_uri;
mod resources;
mod scope;
mod server;
pub mod sse;
pub mod stdio;
mod tasks;
mod tools;
mod trace;

pub use events::Pace;
pub use posted::BodyLimits;
pub use server::Server;
pub use tools::{Defaults, ToolList};
