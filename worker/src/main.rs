//! The worker's command line.

use std::fs::File;
use std::io::Write;
use std::os::fd::FromRawFd;

use clap::{Parser, Subcommand};
use mcp_v8_protocol::exit::ExitCode;
use mcp_v8_worker::by_hand::{self, RunArgs};
use mcp_v8_worker::confine::{self, ConfineError, INPUT_FD, OUTPUT_FD};
use mcp_v8_worker::conversation::{ConversationError, converse, end_process};
use mcp_v8_worker::runtime::Realm;

/// Runs one JavaScript or TypeScript program in V8.
///
/// The mcp-v8 server starts a worker for each execution. By hand, `run` shows what a worker does with
/// a script: console output and value on standard output, errors on standard error.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Exit codes of run: 0 completed, 1 the script failed, 64 wrong usage, \
86 memory limit, 124 time limit.\n\nExamples:\n  mcp-v8-worker run script.ts\n  \
echo 'console.log(1 + 1)' | mcp-v8-worker run -\n  mcp-v8-worker run --trace-frames --timeout 5 script.js"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a script by hand, without a supervisor
    Run(RunArgs),
    /// Serve a supervisor over descriptors 3 (in) and 4 (out); not for people
    #[command(hide = true)]
    Serve,
}

/// Why a worker did not serve.
#[derive(Debug, thiserror::Error)]
enum ServeError {
    #[error("cannot confine this process: {0}")]
    Confine(#[from] ConfineError),
    #[error(transparent)]
    Conversation(#[from] ConversationError),
}

fn main() {
    set_time_zone();
    let code = match Cli::try_parse() {
        Ok(Cli {
            command: Command::Run(args),
        }) => match by_hand::run(&args) {
            Ok(code) => code,
            Err(error) => complain(&error, ExitCode::Usage),
        },
        Ok(Cli {
            command: Command::Serve,
        }) => match serve() {
            Ok(()) => ExitCode::Done,
            Err(error @ ServeError::Confine(_)) => complain(&error, ExitCode::StartFailed),
            Err(error @ ServeError::Conversation(_)) => complain(&error, ExitCode::Protocol),
        },
        Err(help) => {
            let _nobody_reads = help.print();
            if help.use_stderr() {
                ExitCode::Usage
            } else {
                ExitCode::Done
            }
        }
    };
    end_process(code)
}

/// Scripts live in UTC.
fn set_time_zone() {
    // SAFETY: the process has one thread yet.
    unsafe { std::env::set_var("TZ", "UTC") };
}

fn complain(error: &dyn std::error::Error, code: ExitCode) -> ExitCode {
    let _nobody_reads = writeln!(std::io::stderr(), "mcp-v8-worker: {error}");
    code
}

fn serve() -> Result<(), ServeError> {
    confine::confine(true)?;
    // SAFETY: `confine` found both descriptors open, and nothing else in this process uses them.
    let (input, output) = unsafe { (File::from_raw_fd(INPUT_FD), File::from_raw_fd(OUTPUT_FD)) };
    let or_end = |step: Result<(), ConfineError>| {
        if let Err(error) = step {
            end_process(complain(&error, ExitCode::StartFailed));
        }
    };
    let prepare = || {
        let realm = Realm::for_run();
        or_end(confine::seal_descriptors());
        realm
    };
    converse(input, output, prepare, |limits| {
        or_end(confine::tighten(limits))
    })?;
    Ok(())
}
