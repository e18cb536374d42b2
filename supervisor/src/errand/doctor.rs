//! Looks at everything that a server needs, and says what it found.

use std::io::Write as _;
use std::process::ExitCode;

use mcp_v8::config::{Config, Machine, ReportFormat, Setting};
use mcp_v8::doctor::{Grade, examine};
use mcp_v8::telemetry::LogLevel;

use crate::{complain, start_log};

/// Examines this machine for this configuration.
pub(crate) fn doctor(config: &Config, format: ReportFormat) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("mcp-v8: {error}\n"));
            return ExitCode::FAILURE;
        }
    };
    let mut log = config.log;
    if config.said.get(Setting::LogLevel).is_none() {
        // What a start says is not what was asked.
        log.level = LogLevel::Warn;
    }
    let _log = start_log(log, None);
    let report = runtime.block_on(examine(config, &Machine::this()));
    runtime.shutdown_background();
    let text = match format {
        ReportFormat::Text => report.to_string(),
        ReportFormat::Json => format!("{}\n", report.json()),
    };
    let _nobody_reads = std::io::stdout().write_all(text.as_bytes());
    match report.grade() {
        Grade::Ok | Grade::Warn => ExitCode::SUCCESS,
        Grade::Fail => ExitCode::FAILURE,
    }
}
