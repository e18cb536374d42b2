//! Collects garbage once, and says what became of it.

use std::io::Write as _;
use std::process::ExitCode;

use mcp_v8::app::{GarbageError, GarbageOptions, Neighbours, collect_garbage};
use mcp_v8::config::Config;
use mcp_v8::gc::Told;

use super::runtime;
use crate::{complain, start_log, tell};

/// Collects garbage once, and says what became of it.
pub(crate) fn collect(config: Config, options: GarbageOptions) -> ExitCode {
    let _log = start_log(config.log, None);
    tell(&config.notes);
    let executions = &config.executions;
    let collecting = collect_garbage(&executions.state, executions.retention, options);
    let collected = runtime::run(collecting)
        .map_err(GarbageError::from)
        .flatten();
    match collected {
        Ok(report) => {
            let told = Told {
                report: &report,
                is_dry_run: options.is_dry_run,
                now: jiff::Timestamp::now(),
            };
            let _nobody_reads = write!(std::io::stdout(), "{told}");
            if report.neighbours == Neighbours::Nobody {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            complain(&format!("mcp-v8: {error}\n"));
            ExitCode::FAILURE
        }
    }
}
