//! `mcp-v8-worker run`: one script without a supervisor, to see what a worker does.
//!
//! The script goes through the same conversation as under a supervisor, with both ends in this
//! process: the frames that the worker writes are decoded, checked and shown.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use mcp_v8_protocol::codec::{DecodeError, FrameReader, encode};
use mcp_v8_protocol::exit::ExitCode;
use mcp_v8_protocol::limits::SOURCE_BYTES_MAX;
use mcp_v8_protocol::message::{
    Confinement, ExecutionLimits, FailureKind, Finished, FromWorker, Grants, HeapUse, Start,
    ToWorker,
};
use mcp_v8_protocol::modules::{self, Module, NameFault};
use mcp_v8_protocol::phase::{Phase, Violation};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use sha2::{Digest as _, Sha256};

use crate::conversation::{ConversationError, Prepared, converse, end_process};
use crate::runtime::{PreloadError, Preloaded, Realm, choose_tier};
use crate::sandbox;
use crate::tier::EngineTier;

/// What to run, and how.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// A file with JavaScript or TypeScript; - reads standard input
    file: PathBuf,
    /// Wall-clock limit in seconds, 1 to 300
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=300))]
    timeout: u32,
    /// V8 heap and buffer limit in megabytes, 1 to 64
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=64))]
    heap_memory_max: u32,
    /// How much of V8's machinery the script gets
    #[arg(long, value_enum, default_value_t)]
    engine_tier: EngineTier,
    /// A WebAssembly module for the script, which finds its exports as NAME (of one that imports nothing),
    /// and the module as __wasm_NAME; can be given again
    #[arg(long, value_name = "NAME=FILE")]
    wasm_module: Vec<String>,
    /// Print each frame of the conversation with the (absent) supervisor on standard error
    #[arg(long)]
    trace_frames: bool,
}

/// Why nothing was run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The script cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// What was to be read.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// The script is too large.
    #[error("the script is larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The script is not text.
    #[error("the script is not UTF-8: {0}")]
    NotText(#[from] std::str::Utf8Error),
    /// A module is not named.
    #[error("--wasm-module {given}: it is not NAME=FILE")]
    Unnamed {
        /// What was given.
        given: String,
    },
    /// A module cannot be called that.
    #[error("the WebAssembly module {name}: {fault}")]
    Name {
        /// Its name.
        name: String,
        /// Why not.
        fault: NameFault,
    },
    /// Two modules cannot be told apart.
    #[error("two WebAssembly modules are called {name}")]
    Twice {
        /// Their name.
        name: String,
    },
    /// The engine does not run modules.
    #[error("there is no WebAssembly in the engine tier jitless")]
    NoWebAssembly,
    /// The modules are too many or too large.
    #[error(transparent)]
    Modules(#[from] PreloadError),
    /// The conversation failed.
    #[error(transparent)]
    Conversation(#[from] ConversationError),
    /// A frame could not be made.
    #[error(transparent)]
    Frame(#[from] DecodeError),
    /// The time limit could not be set.
    #[error("cannot set the time limit: {0}")]
    Timer(#[from] nix::errno::Errno),
}

/// Runs a script; the exit code tells how it ended.
///
/// # Errors
/// [`RunError`] when the script was not run.
pub fn run(args: &RunArgs) -> Result<ExitCode, RunError> {
    let source = read_source(&args.file)?;
    choose_tier(args.engine_tier);
    let modules = Rc::new(read_modules(args)?);
    let bytes = u64::from(args.heap_memory_max) << 20;
    let limits = ExecutionLimits {
        heap_bytes: bytes,
        buffer_bytes: bytes,
        cpu_seconds: args.timeout + 2,
        snapshot_bytes: 0,
    };
    let heap = HeapUse::Discard;
    let start = ToWorker::Start(Start {
        source,
        limits,
        heap,
        grants: Grants::default(),
    });
    let terminal = Terminal {
        frames: FrameReader::default(),
        phase: Phase::Booting,
        trace: args.trace_frames,
        start: start.clone(),
    };
    let input = encode(&start)?;
    let prepare = || {
        let mut realm = Realm::for_run();
        realm.preload(modules);
        let _remaining = nix::unistd::alarm::set(args.timeout);
        // By hand a script runs with the user's own limits only: it is the user's own script.
        (Prepared::Stateless(realm), Confinement::default())
    };
    set_alarm_handler()?;
    converse(io::Cursor::new(input), terminal, prepare, &sandbox::Kernel)?;
    // The terminal ends the process with the outcome's code at the last frame.
    Ok(ExitCode::Done)
}

fn read_source(path: &Path) -> Result<String, RunError> {
    let fail = |source| RunError::Read {
        path: path.display().to_string(),
        source,
    };
    let mut bytes = Vec::new();
    let limit = u64::try_from(SOURCE_BYTES_MAX).unwrap_or(u64::MAX) + 1;
    if path == Path::new("-") {
        io::stdin()
            .lock()
            .take(limit)
            .read_to_end(&mut bytes)
            .map_err(fail)?;
    } else {
        let file = std::fs::File::open(path).map_err(fail)?;
        file.take(limit).read_to_end(&mut bytes).map_err(fail)?;
    }
    if bytes.len() > SOURCE_BYTES_MAX {
        return Err(RunError::TooLarge {
            limit: SOURCE_BYTES_MAX,
        });
    }
    Ok(str::from_utf8(&bytes)?.to_owned())
}

fn read_modules(args: &RunArgs) -> Result<Preloaded, RunError> {
    if !args.wasm_module.is_empty() && args.engine_tier == EngineTier::Jitless {
        return Err(RunError::NoWebAssembly);
    }
    let mut read: Vec<(&str, Vec<u8>)> = Vec::new();
    for given in &args.wasm_module {
        let (name, path) = given.split_once('=').ok_or_else(|| RunError::Unnamed {
            given: given.clone(),
        })?;
        let owned = || name.to_owned();
        modules::check_name(name).map_err(|fault| RunError::Name {
            name: owned(),
            fault,
        })?;
        if read.iter().any(|(other, _)| *other == name) {
            return Err(RunError::Twice { name: owned() });
        }
        let bytes = std::fs::read(path).map_err(|source| RunError::Read {
            path: path.to_owned(),
            source,
        })?;
        read.push((name, bytes));
    }
    let listed: Vec<Module<'_>> = read
        .iter()
        .map(|(name, bytes)| Module {
            name,
            digest: Sha256::digest(bytes).into(),
            bytes,
        })
        .collect();
    let file = modules::encode(&listed).map_err(PreloadError::from)?;
    // They stay as long as the process.
    Ok(Preloaded::of(file.leak())?)
}

fn set_alarm_handler() -> Result<(), nix::errno::Errno> {
    let action = SigAction::new(
        SigHandler::Handler(time_is_up),
        SaFlags::empty(),
        SigSet::empty(),
    );
    // SAFETY: the handler calls nothing but write and _exit, which POSIX allows in one.
    unsafe { sigaction(Signal::SIGALRM, &action) }.map(drop)
}

extern "C" fn time_is_up(_signal: i32) {
    let text = b"the script was stopped at its time limit; --timeout sets another\n";
    // SAFETY: writes a static text to standard error.
    let _written = unsafe { libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len()) };
    end_process(ExitCode::TimedOut)
}

/// The supervisor's half: reads what the worker writes and shows it.
struct Terminal {
    frames: FrameReader<FromWorker>,
    phase: Phase,
    trace: bool,
    start: ToWorker,
}

impl Write for Terminal {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.frames.push(bytes);
        while let Some(message) = self.frames.next_message().map_err(io::Error::other)? {
            self.take(&message).map_err(io::Error::other)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Terminal {
    fn take(&mut self, message: &FromWorker) -> Result<(), Violation> {
        self.phase = self.phase.on_from_worker(message)?;
        self.trace("◀", message);
        match message {
            FromWorker::Hello(_) => {
                self.phase = self.phase.on_to_worker(&self.start)?;
                self.trace("▶", &self.start);
            }
            // No grant, so no request.
            FromWorker::Fetch(_) => {}
            FromWorker::Console(console) => show(&mut io::stdout(), &console.text),
            FromWorker::Finished(Finished::Completed(done)) => {
                if done.result.text != "undefined" || done.preview.text != "undefined" {
                    show(&mut io::stdout(), &format!("{}\n", done.preview.text));
                }
                end_process(ExitCode::Done);
            }
            FromWorker::Finished(Finished::Failed(failure)) => {
                show(&mut io::stderr(), &format!("{}\n", failure.error.text));
                if failure.kind == FailureKind::Memory {
                    let how = "--heap-memory-max gives it more, up to 64 MB\n";
                    show(&mut io::stderr(), how);
                    end_process(ExitCode::HeapLimit);
                }
                end_process(ExitCode::ScriptFailed);
            }
            // The phase lets neither through: no heap is kept.
            FromWorker::Saved(_) | FromWorker::Unsaved(_) => {}
        }
        Ok(())
    }

    fn trace(&self, direction: &str, message: &impl std::fmt::Debug) {
        if self.trace {
            show(&mut io::stderr(), &format!("{direction} {message:?}\n"));
        }
    }
}

/// A terminal that is gone does not matter: the exit code still tells.
fn show(stream: &mut impl Write, text: &str) {
    let _gone = stream
        .write_all(text.as_bytes())
        .and_then(|()| stream.flush());
}
