//! The host's half of the web globals.
//!
//! The JavaScript half is Deno's and ours (`crate::runtime::scripts`). The functions here have the
//! names and the shapes that those scripts expect; Deno's own functions of these names are bound to
//! deno_core's runtime, which is not used (`crate::runtime`). None of them is reachable from a user's
//! script, and none can do more than compute, write to the console, or ask the supervisor for a request
//! over HTTP where that is granted.

mod clone;
mod crypto;
mod crypto_ops;
pub(crate) mod decoders;
mod encoding;
pub(crate) mod fetch;
mod op;
pub(crate) mod ops;
mod time;
mod url;
mod values;
pub(crate) mod wasm;
pub(crate) mod wasm_preloaded;
pub(crate) mod weak;
