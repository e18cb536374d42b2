//! The worker: one process that runs one script.
//!
//! ```text
//! main ─▶ conversation ─▶ runtime ─▶ web
//!      ─▶ by_hand      ─▶    │  └──▶ typescript
//! ```

pub mod runtime;
mod typescript;
mod web;
