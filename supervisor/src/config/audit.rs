//! The audit log.

use std::ffi::OsString;

use clap::Args;

use super::BYTES_PER_MB;
use super::resolve::Resolver;
use super::setting::Setting;
use crate::audit::AuditConfig;
use crate::limits::{
    AUDIT_FILE_MB_DEFAULT, AUDIT_FILE_MB_MAX, AUDIT_FILES_DEFAULT, AUDIT_FILES_MAX,
};

const AUDIT: &str = "Audit log";

/// What the name of the key file ends with, when nobody says.
pub(super) const KEY_NAME_END: &str = ".key";

/// What means nothing without a log.
const NEEDS_LOG: [Setting; 3] = [
    Setting::AuditKeyFile,
    Setting::AuditLogMaxMb,
    Setting::AuditLogFiles,
];

/// The flags.
#[derive(Debug, Args)]
pub(super) struct AuditFlags {
    /// Note who does what in this file, a line of JSON each; it is made when missing.
    ///
    /// While it cannot be written, nothing is accepted. Each server needs a file of its own. Lines
    /// hold on to each other: mcp-v8 audit verify finds every change. They name tenants, executions,
    /// hashes of code, and the hosts that scripts ask; never code, output, headers or secrets.
    #[arg(long, value_name = "FILE", help_heading = AUDIT)]
    audit_log: Option<OsString>,

    /// The file with the key of the audit log; it is made when missing. Needs --audit-log.
    ///
    /// Whoever has it can write a log that is believed: keep it as a secret, best on another disk.
    #[arg(long, value_name = "FILE", help_heading = AUDIT)]
    audit_key_file: Option<OsString>,

    /// The size at which the audit log is put aside, in MB (1 to 65536). Needs --audit-log.
    #[arg(long, value_name = "MB", help_heading = AUDIT)]
    audit_log_max_mb: Option<OsString>,

    /// How many files that were put aside are kept (1 to 10000); the oldest go. Needs --audit-log.
    #[arg(long, value_name = "COUNT", help_heading = AUDIT)]
    audit_log_files: Option<OsString>,
}

impl AuditFlags {
    /// What each of them says.
    pub(super) fn values(self) -> [(Setting, Option<OsString>); 4] {
        [
            (Setting::AuditLog, self.audit_log),
            (Setting::AuditKeyFile, self.audit_key_file),
            (Setting::AuditLogMaxMb, self.audit_log_max_mb),
            (Setting::AuditLogFiles, self.audit_log_files),
        ]
    }
}

impl Resolver<'_> {
    pub(super) fn audit(&mut self) -> Option<AuditConfig> {
        // Everything is read, so that everything that is wrong is reported.
        let path = self.path(Setting::AuditLog);
        let key_file = self.path(Setting::AuditKeyFile);
        let mb = self.number(
            Setting::AuditLogMaxMb,
            1..=AUDIT_FILE_MB_MAX,
            " MB",
            AUDIT_FILE_MB_DEFAULT,
        );
        let files_max = self.number(
            Setting::AuditLogFiles,
            1..=AUDIT_FILES_MAX,
            "",
            AUDIT_FILES_DEFAULT,
        );
        for setting in NEEDS_LOG {
            self.need(setting, Setting::AuditLog, "it is about the audit log");
        }
        let path = path?;
        let key_file = key_file.unwrap_or_else(|| {
            let mut name = path.clone().into_os_string();
            name.push(KEY_NAME_END);
            name.into()
        });
        Some(AuditConfig {
            path,
            key_file,
            file_bytes_max: mb * BYTES_PER_MB,
            files_max,
        })
    }
}
