//! Reads an audit log, and says whether it is what was written.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use mcp_v8::audit::{self, AuditConfig};

use crate::complain;

/// Reads these files, or all that belong to the log.
pub(crate) fn verify_audit(audit: &AuditConfig, files: &[PathBuf]) -> ExitCode {
    match audit::verify(&audit.path, &audit.key_file, files) {
        Ok(verified) => {
            let _nobody_reads = write!(std::io::stdout(), "{verified}");
            ExitCode::SUCCESS
        }
        Err(broken) => {
            complain(&format!("mcp-v8: {broken}\n"));
            ExitCode::FAILURE
        }
    }
}
