//! What the supervisor and a worker say to each other.
//!
//! The two processes share two plain pipes and this crate, and nothing else. It does no I/O and
//! reads no clock: bytes go in, messages or errors come out.
//!
//! ```text
//!             ┌───────────── to the worker ─────────────┐
//! supervisor ─┤ Start Fetch*                            ├─▶ worker (assume an attacker owns it)
//!            ◀┤ Hello (Console | Fetch)* Finished Saved │
//!             └──────────── from the worker ────────────┘
//! ```
//!
//! * [`message`]: one enum for each direction.
//! * [`codec`]: length-prefixed frames; every size is bounded before a byte is allocated.
//! * [`phase`]: which message is legal now. Both ends run it; an illegal one ends the process.
//! * [`limits`]: every size on the wire, with the relations between them asserted at compile time.
//! * [`fetch`]: requests over HTTP that scripts make.
//! * [`mode`]: whether heaps are kept.
//! * [`modules`]: the WebAssembly modules that an operator preloads, as a file.
//! * [`exit`]: the exit codes of a worker.
//! * [`zygote`]: the other conversation, with the process that forks workers: its messages, and the
//!   ledger that says which of them fits.

#![forbid(unsafe_code)]

pub mod codec;
pub mod exit;
pub mod fetch;
pub mod limits;
pub mod message;
pub mod mode;
pub mod modules;
pub mod phase;
pub mod zygote;

/// The version of this conversation, sent in [`message::Hello`]. It grows with every change of a
/// message, a frame or a phase; supervisor and worker of different versions refuse each other.
pub const PROTOCOL_VERSION: u32 = 4;
