//! The worker: one process that runs one script.
//!
//! ```text
//! main ─▶ sandbox ◀─ zygote
//!      ─▶ conversation ─▶ runtime ─▶ web
//!      ─▶ by_hand ──┘        └─▶ typescript
//! ```
//!
//! [`conversation`] speaks with the supervisor, whom it hears through [`input`]; [`runtime`] runs a script on
//! V8; `web` is the host's half of the web globals; [`sandbox`] is what the process gives up; [`window`] is
//! where heaps travel, and [`stock`] memory for saving them; [`zygote`] forks workers from a runtime that is
//! already made. The worker has no configuration and no access to anything: all it knows comes in one message.

pub mod by_hand;
pub mod conversation;
pub mod input;
pub mod runtime;
pub mod sandbox;
pub mod stock;
pub mod tier;
mod typescript;
mod web;
pub mod window;
pub mod zygote;
