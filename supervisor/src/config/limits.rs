//! What bounds executions, as the command line says it.

use std::ffi::OsString;

use clap::Args;

use super::setting::Setting;

const LIMITS: &str = "Limits";

/// The flags.
#[derive(Debug, Args)]
pub(super) struct LimitFlags {
    /// V8's heap of one execution, in MB (1 to 64), for callers who do not ask for their own.
    ///
    /// Array buffers and WebAssembly memories may take as much again.
    #[arg(long, value_name = "MB", help_heading = LIMITS)]
    heap_memory_max: Option<OsString>,

    /// How long one execution may run, in seconds (1 to 300), for callers who do not ask.
    #[arg(long, value_name = "SECONDS", help_heading = LIMITS)]
    execution_timeout: Option<OsString>,

    /// How many executions run at once (1 to 1024).
    #[arg(long, value_name = "COUNT", help_heading = LIMITS)]
    max_concurrent_executions: Option<OsString>,

    /// How many more may wait for their turn (0 to 10000); beyond that they are refused.
    #[arg(long, value_name = "COUNT", help_heading = LIMITS)]
    max_queued_executions: Option<OsString>,
}

impl LimitFlags {
    /// What each of them says.
    pub(super) fn values(self) -> [(Setting, Option<OsString>); 4] {
        [
            (Setting::HeapMemoryMax, self.heap_memory_max),
            (Setting::ExecutionTimeout, self.execution_timeout),
            (
                Setting::MaxConcurrentExecutions,
                self.max_concurrent_executions,
            ),
            (Setting::MaxQueuedExecutions, self.max_queued_executions),
        ]
    }
}
