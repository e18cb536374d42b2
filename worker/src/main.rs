//! The worker's command line.

use std::ffi::c_void;
use std::fs::File;
use std::io::Write;
use std::mem::ManuallyDrop;
use std::os::fd::{FromRawFd, OwnedFd};
use std::rc::Rc;

use clap::{Parser, Subcommand};
use mcp_v8_protocol::exit::ExitCode;
use mcp_v8_protocol::mode::Mode;
use mcp_v8_worker::by_hand::{self, RunArgs};
use mcp_v8_worker::conversation::{ConversationError, Prepared, converse, end_process};
use mcp_v8_worker::runtime::{PreloadError, Preloaded, Realm, choose_tier};
use mcp_v8_worker::sandbox::{
    self, Asked, Descriptors, INPUT_FD, MODULES_FD, Mode as SandboxMode, OUTPUT_FD, Report,
    SandboxError, WINDOW_FD, Way,
};
use mcp_v8_worker::stock;
use mcp_v8_worker::tier::EngineTier;
use mcp_v8_worker::window::Window;
use mcp_v8_worker::zygote::{Turn, Zygote, ZygoteError};
use nix::errno::Errno;
use nix::sys::signal::{SigHandler, Signal};

unsafe extern "C" {
    /// V8's own choice of addresses, by the name that it has only where the linker was told to replace it
    /// (`build/main.rs`).
    #[link_name = "__real__ZN2v84base2OS17GetRandomMmapAddrEv"]
    fn replaced() -> *mut c_void;
}

/// So that a program whose memory V8 would place where everybody knows it does not link.
#[used]
static LINKS_ONLY_WITH_REPLACED: unsafe extern "C" fn() -> *mut c_void = replaced;

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
    /// Serve a supervisor over descriptors 3 (in), 4 (out) and 5 (heap window); not for people
    #[command(hide = true)]
    Serve(Service),
    /// Fork workers for a supervisor, over a socket on descriptor 3; not for people
    #[command(hide = true)]
    Zygote(Service),
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

/// What a worker of a supervisor is for.
#[derive(Debug, Clone, Copy, clap::Args)]
struct Service {
    #[command(flatten)]
    jail: Jail,
    /// Whether heaps are kept
    #[arg(long, value_parser = mode_of, default_value = Mode::Stateless.name())]
    mode: Mode,
    /// Descriptor 6 is a file of WebAssembly modules for scripts
    #[arg(long)]
    wasm_modules: bool,
}

impl Service {
    /// The modules that were handed over. Call it first of all, and once.
    fn modules(self) -> Result<Rc<Preloaded>, PreloadError> {
        if !self.wasm_modules {
            return Ok(Rc::default());
        }
        // SAFETY: the supervisor gives this descriptor with that flag, and nothing else in this process
        // uses it.
        Preloaded::map(unsafe { OwnedFd::from_raw_fd(MODULES_FD) }).map(Rc::new)
    }
}

fn mode_of(word: &str) -> Result<Mode, String> {
    let known = Mode::ALL.into_iter().find(|mode| mode.name() == word);
    known.ok_or_else(|| "it is stateless or stateful".to_owned())
}

/// What the operator asked of the jail and the engine.
#[derive(Debug, Clone, Copy, clap::Args)]
struct Jail {
    /// Whether a worker may run without Landlock and without namespaces
    #[arg(long, value_enum, default_value_t)]
    sandbox: SandboxMode,
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
    #[error("cannot map the heap window: {0}")]
    Window(#[from] Errno),
    #[error(transparent)]
    Modules(#[from] PreloadError),
}

impl ServeError {
    fn code(&self) -> ExitCode {
        match self {
            Self::Sandbox(_)
            | Self::Window(_)
            | Self::Modules(_)
            | Self::Zygote(ZygoteError::System { .. } | ZygoteError::Maps(_)) => {
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
            command: Command::Serve(service),
        }) => served(serve(service)),
        Ok(Cli {
            command: Command::Zygote(service),
        }) => served(fork_workers(service)),
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
fn serve(service: Service) -> Result<(), ServeError> {
    let Service { jail, mode, .. } = service;
    let modules = service.modules()?;
    choose_tier(jail.engine_tier);
    let plan = sandbox::plan(jail.asked(Way::Exec));
    let window = match mode {
        Mode::Stateless => None,
        // SAFETY: the supervisor gives this descriptor to a worker of this mode, and nothing else in
        // this process uses it.
        Mode::Stateful => Some(Window::map(unsafe { OwnedFd::from_raw_fd(WINDOW_FD) })?),
    };
    let prepared = prepare(realm_of(mode, modules), window);
    let mut report = Report::default();
    sandbox::enter_worker(&plan, &Descriptors::IN_PLACE, &mut report)?;
    // SAFETY: they are in their places, and nothing else in this process uses them.
    let (input, output) = unsafe { (File::from_raw_fd(INPUT_FD), File::from_raw_fd(OUTPUT_FD)) };
    talk(prepared, &report, input, output)
}

/// A fork server, and each worker that it forks.
fn fork_workers(service: Service) -> Result<(), ServeError> {
    let Service { jail, mode, .. } = service;
    let modules = service.modules()?;
    choose_tier(jail.engine_tier);
    let mut zygote = Zygote::open(mode)?;
    let plan = sandbox::plan(jail.asked(Way::Zygote));
    let mut report = Report::default();
    sandbox::enter_zygote(&plan, &mut report)?;
    let realm = realm_of(mode, Rc::clone(&modules));
    modules.compile();
    match zygote.serve(&report)? {
        Turn::Over => Ok(()),
        Turn::Worker {
            input,
            output,
            window,
        } => {
            // The fork server's own things are the parent's; here nobody may drop them.
            std::mem::forget(zygote);
            let prepared = prepare(realm, window);
            sandbox::enter_worker(&plan, &Descriptors::IN_PLACE, &mut report)?;
            talk(prepared, &report, input, output)
        }
    }
}

/// The runtime of a worker. It is never torn down: that takes long, and one for heaps must not be
/// without a snapshot; the process ends instead.
fn realm_of(mode: Mode, modules: Rc<Preloaded>) -> ManuallyDrop<Realm> {
    let mut realm = ManuallyDrop::new(match mode {
        Mode::Stateless => Realm::for_run(),
        Mode::Stateful => Realm::for_heap(None),
    });
    realm.preload(modules);
    realm
}

fn prepare(realm: ManuallyDrop<Realm>, window: Option<Window>) -> ManuallyDrop<Prepared> {
    let realm = ManuallyDrop::into_inner(realm);
    ManuallyDrop::new(match window {
        None => Prepared::Stateless(realm),
        Some(window) => {
            stock::lay_in();
            Prepared::Stateful(realm, window)
        }
    })
}

fn talk(
    prepared: ManuallyDrop<Prepared>,
    report: &Report,
    input: File,
    output: File,
) -> Result<(), ServeError> {
    let prepare = || (ManuallyDrop::into_inner(prepared), report.confinement());
    converse(input, output, prepare, &sandbox::Kernel)?;
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
