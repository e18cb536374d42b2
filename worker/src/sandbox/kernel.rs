//! The kernel's limits, for the conversation.

use std::io::Write as _;

use mcp_v8_protocol::exit::ExitCode;
use mcp_v8_protocol::message::{ExecutionLimits, HeapUse};

use super::SandboxError;
use crate::conversation::{Limiter, end_process};

/// Has the kernel keep this process to its limits. Where it cannot, the process ends.
#[derive(Debug, Clone, Copy)]
pub struct Kernel;

impl Limiter for Kernel {
    fn tighten(&self, limits: &ExecutionLimits, heap: HeapUse) {
        or_end(super::tighten(limits, heap));
    }

    fn make_room_to_save(&self) {
        or_end(super::make_room_to_save());
    }
}

fn or_end(done: Result<(), SandboxError>) {
    if let Err(error) = done {
        let _nobody_reads = writeln!(std::io::stderr(), "mcp-v8-worker: {error}");
        end_process(ExitCode::StartFailed);
    }
}
