//! Shows what becomes of a worker's jail on this machine.

use std::ffi::OsStr;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::{ExitCode, Stdio};

use mcp_v8::app::{Jail, WorkerStart, control_groups};

use crate::complain;

/// Has a worker's program take its jail and say what became of it, after what this program does
/// itself.
pub(crate) fn check_sandbox(worker_path: &Path, jail: Jail, start: WorkerStart) -> ExitCode {
    let groups = control_groups();
    let state = if groups.are_on { "on" } else { "off" };
    // In the columns of the worker's own lines.
    let line = format!(
        "{:<19}{:<10}{state:<5}{}\n",
        "control group", "extra", groups.detail
    );
    let _nobody_reads = std::io::stdout().write_all(line.as_bytes());
    let arguments = jail.arguments();
    let arguments = arguments
        .iter()
        .map(|word| OsStr::from_bytes(word.to_bytes()));
    let checked = std::process::Command::new(worker_path)
        .args(["check-sandbox", "--worker-start", start.name()])
        .args(arguments)
        .env_clear()
        .stdin(Stdio::null())
        .status();
    match checked {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            complain(&format!(
                "mcp-v8: cannot run {}: {error}\n",
                worker_path.display()
            ));
            ExitCode::FAILURE
        }
    }
}
