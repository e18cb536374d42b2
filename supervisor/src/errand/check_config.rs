//! Checks a configuration without starting anything, and shows what it comes to.

use std::fmt::Display;
use std::io::Write as _;
use std::process::ExitCode;

use mcp_v8::app::State;
use mcp_v8::config::{Config, Transport, effective};
use mcp_v8::key_file::{self, KeyUse};

use super::runtime;
use crate::{EXIT_CONFIGURATION, complain};

/// Reads what the configuration names. All that is wrong with it is told.
pub(crate) fn check_config(config: &Config) -> ExitCode {
    let mut told = String::new();
    for setting in effective(&config.said) {
        told.push_str(&format!("{setting}\n"));
    }
    for note in &config.notes {
        told.push_str(&format!("note: {note}\n"));
    }
    told.push_str(&format!("{}\n", config.summary()));
    let _nobody_reads = std::io::stdout().write_all(told.as_bytes());
    let faults = faults(config);
    if faults.is_empty() {
        let _nobody_reads = std::io::stdout().write_all(b"the configuration can be used\n");
        return ExitCode::SUCCESS;
    }
    for fault in &faults {
        complain(&format!("mcp-v8: {fault}\n"));
    }
    ExitCode::from(EXIT_CONFIGURATION)
}

/// What is wrong with the files that it names.
fn faults(config: &Config) -> Vec<String> {
    let mut faults = Vec::new();
    let mut note = |checked: Result<(), &dyn Display>| {
        if let Err(fault) = checked {
            faults.push(fault.to_string());
        }
    };
    if let Transport::Http(http) = &config.transport
        && let Some(files) = &http.tls
    {
        let checked = files.validity();
        note(checked.as_ref().map(|_| ()).map_err(|error| error as _));
    }
    if let Some(traces) = &config.traces {
        let checked = traces.headers();
        note(checked.as_ref().map(|_| ()).map_err(|error| error as _));
    }
    if !config.executions.worker_path.is_file() {
        let path = config.executions.worker_path.display();
        note(Err(&format_args!("there is no worker program at {path}")));
    }
    if let State::Stateful { heaps, .. } = &config.executions.state {
        let checked = key_file::look(KeyUse::Heaps, &heaps.key_file);
        note(checked.as_ref().map(|_| ()).map_err(|error| error as _));
    }
    if let Some(node) = &config.executions.node {
        let checked = node.cluster.check_trust();
        note(checked.as_ref().map(|_| ()).map_err(|error| error as _));
    }
    if let Some(audit) = &config.audit {
        let checked = key_file::look(KeyUse::Audit, &audit.key_file);
        note(checked.as_ref().map(|_| ()).map_err(|error| error as _));
    }
    match runtime::run(of_what_is_opened(config)) {
        Ok(more) => faults.extend(more),
        Err(error) => note(Err(&error)),
    }
    faults
}

/// What is wrong with what a server opens: the file of tokens, the issuer's keys where they are in a file,
/// the policies. Nobody is asked.
async fn of_what_is_opened(config: &Config) -> Vec<String> {
    let mut faults = Vec::new();
    if let Transport::Http(http) = &config.transport
        && let Some(auth) = &http.auth
    {
        let tokens = auth.read_tokens().map(|read| read.map(drop));
        let keys = match auth.keys_are_in_a_file() {
            true => auth.read_keys().await.map(|read| read.map(drop)),
            false => None,
        };
        faults.extend(tokens.and_then(Result::err).map(|error| error.to_string()));
        faults.extend(keys.and_then(Result::err).map(|error| error.to_string()));
    }
    if let Some(fetch) = &config.fetch
        && let Err(error) = fetch.clone().open().await
    {
        faults.push(error.to_string());
    }
    faults
}
