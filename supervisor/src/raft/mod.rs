//! The replicated log, over the raft crate.
pub mod codec;
pub mod command;
pub mod ids;
pub mod log;
pub mod logger;
pub mod packet;
pub mod request;
pub mod state;
