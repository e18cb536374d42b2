//! Checks a configuration without starting anything, and shows what it comes to.

use std::fmt::Display;
use std::io::Write as _;
use std::process::ExitCode;

use mcp_v8::config::{Config, Transport, effective};

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
    if let Some(fetch) = &config.fetch {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        match runtime {
            Ok(runtime) => {
                let opened = runtime.block_on(fetch.clone().open());
                note(opened.as_ref().map(|_| ()).map_err(|error| error as _));
                runtime.shutdown_background();
            }
            Err(error) => note(Err(&error)),
        }
    }
    faults
}
