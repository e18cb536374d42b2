//! The worker: one process that runs one script.
//!
//! ```text
//! main ─▶ confine
//!      ─▶ conversation ─▶ runtime ─▶ web
//!      ─▶ by_hand ──┘        └─▶ typescript
//! ```
//!
//! [`conversation`] speaks with the supervisor; [`runtime`] runs a script on V8; `web` is the host's
//! half of the web globals; [`confine`] is what the process gives up. The worker has no configuration
//! and no access to anything: all it knows comes in one message.

pub mod by_hand;
pub mod confine;
pub mod conversation;
pub mod runtime;
mod typescript;
mod web;
