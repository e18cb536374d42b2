//! The worker's command line.

use std::fs::File;
use std::io::Write;
use std::os::fd::FromRawFd;

use clap::{Parser, Subcommand};
use mcp_v8_protocol::exit::ExitCode;
use mcp_v8_worker::by_hand::{self, RunArgs};
use mcp_v8_worker::conversation::{ConversationError, converse, end_process};
use mcp_v8_worker::runtime::{Realm, choose_tier};
use mcp_v8_worker::sandbox::{
    self, Asked, Descriptors, INPUT_FD, Mode, OUTPUT_FD, Report, SandboxError, Way,
};
use mcp_v8_worker::tier::EngineTier;
use mcp_v8_worker::zygote::{Turn, Zygote, ZygoteError};
use nix::sys::signal::{SigHandler, Signal};

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
    Serve(Jail),
    /// Fork workers for a supervisor, over a socket on descriptor 3; not for people
    #[command(hide = true)]
    Zygote(Jail),
    /// Take the jail of a worker, and print what became of each layer
    ///
    /// Exits with 0 when a worker would run, and with 70 when it would refuse.
    CheckSandbox {
        #[command(flatten)]
        jail: Jail,
        /// How the worker is started
        #[arg(long, value_enum, default_value_t)]
        worker_start: Way,
    },
}

/// What the operator asked of the jail and the engine.
#[derive(Debug, Clone, Copy, clap::Args)]
struct Jail {
    /// Whether a worker may run without Landlock and without namespaces
    #[arg(long, value_enum, default_value_t)]
    sandbox: Mode,
    /// How much of V8's machinery scripts get
    #[arg(long, value_enum, default_value_t)]
    engine_tier: EngineTier,
}

impl Jail {
    fn asked(self, way: Way) -> Asked {
        Asked {
            mode: self.sandbox,
            tier: self.engine_tier,
            way,
        }
    }
}

/// Why a worker did not serve.
#[derive(Debug, thiserror::Error)]
enum ServeError {
    #[error("cannot confine this process: {0}")]
    Sandbox(#[from] SandboxError),
    #[error(transparent)]
    Conversation(#[from] ConversationError),
    #[error("cannot fork workers: {0}")]
    Zygote(#[from] ZygoteError),
}

impl ServeError {
    fn code(&self) -> ExitCode {
        match self {
            Self::Sandbox(_) | Self::Zygote(ZygoteError::System { .. } | ZygoteError::Maps(_)) => {
                ExitCode::StartFailed
            }
            Self::Conversation(_)
            | Self::Zygote(
                ZygoteError::Decode(_) | ZygoteError::Misfit(_) | ZygoteError::Descriptors { .. },
            ) => ExitCode::Protocol,
        }
    }
}

fn main() {
    set_time_zone();
    crash_plainly();
    let code = match Cli::try_parse() {
        Ok(Cli {
            command: Command::Run(args),
        }) => match by_hand::run(&args) {
            Ok(code) => code,
            Err(error) => complain(&error, ExitCode::Usage),
        },
        Ok(Cli {
            command: Command::Serve(jail),
        }) => served(serve(jail)),
        Ok(Cli {
            command: Command::Zygote(jail),
        }) => served(fork_workers(jail)),
        Ok(Cli {
            command: Command::CheckSandbox { jail, worker_start },
        }) => check_sandbox(jail, worker_start),
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

/// Rust's handler of a fault takes itself away and returns, so that the fault comes again and kills.
/// In the jail it could not take itself away, and the fault would come for ever.
fn crash_plainly() {
    for fault in [Signal::SIGSEGV, Signal::SIGBUS] {
        // SAFETY: the default action runs no code of ours.
        let _never_fails = unsafe { nix::sys::signal::signal(fault, SigHandler::SigDfl) };
    }
}

fn complain(error: &dyn std::error::Error, code: ExitCode) -> ExitCode {
    let _nobody_reads = writeln!(std::io::stderr(), "mcp-v8-worker: {error}");
    code
}

fn served(served: Result<(), ServeError>) -> ExitCode {
    match served {
        Ok(()) => ExitCode::Done,
        Err(error) => complain(&error, error.code()),
    }
}

/// A worker that was started by itself.
fn serve(jail: Jail) -> Result<(), ServeError> {
    choose_tier(jail.engine_tier);
    let plan = sandbox::plan(jail.asked(Way::Exec));
    let realm = Realm::for_run();
    let mut report = Report::default();
    sandbox::enter_worker(&plan, &Descriptors::IN_PLACE, &mut report)?;
    // SAFETY: they are in their places, and nothing else in this process uses them.
    let (input, output) = unsafe { (File::from_raw_fd(INPUT_FD), File::from_raw_fd(OUTPUT_FD)) };
    talk(realm, &report, input, output)
}

/// A fork server, and each worker that it forks.
fn fork_workers(jail: Jail) -> Result<(), ServeError> {
    choose_tier(jail.engine_tier);
    let mut zygote = Zygote::open()?;
    let plan = sandbox::plan(jail.asked(Way::Zygote));
    let mut report = Report::default();
    sandbox::enter_zygote(&plan, &mut report)?;
    let realm = Realm::for_run();
    match zygote.serve(&report)? {
        Turn::Over => Ok(()),
        Turn::Worker { input, output } => {
            // The fork server's own things are the parent's; here nobody may drop them.
            std::mem::forget(zygote);
            sandbox::enter_worker(&plan, &Descriptors::IN_PLACE, &mut report)?;
            talk(realm, &report, input, output)
        }
    }
}

fn talk(realm: Realm, report: &Report, input: File, output: File) -> Result<(), ServeError> {
    let prepare = || (realm, report.confinement());
    converse(input, output, prepare, |limits| {
        if let Err(error) = sandbox::tighten(limits) {
            end_process(complain(&error, ExitCode::StartFailed));
        }
    })?;
    Ok(())
}

/// Shows the jail of this machine.
fn check_sandbox(jail: Jail, way: Way) -> ExitCode {
    let checked = match sandbox::probe::check(jail.asked(way)) {
        Ok(checked) => checked,
        Err(error) => return complain(&error, ExitCode::StartFailed),
    };
    let verdict = match &checked.refusal {
        None => "a worker runs here".to_owned(),
        Some(why) => format!("a worker refuses to run here: {why}"),
    };
    let text = format!("{}{verdict}\n", checked.layers);
    let _nobody_reads = std::io::stdout().write_all(text.as_bytes());
    if checked.refusal.is_none() {
        ExitCode::Done
    } else {
        ExitCode::StartFailed
    }
}
