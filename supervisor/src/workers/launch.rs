//! The steps of a worker's life. Each consumes the one before, so that no worker is used twice.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mcp_v8_protocol::PROTOCOL_VERSION;
use mcp_v8_protocol::fetch::{FetchCall, FetchReply};
use mcp_v8_protocol::limits::UNSAVED_BYTES_MAX;
use mcp_v8_protocol::message::{Confinement, Finished, FromWorker, Hello, Start, ToWorker};

use super::cgroup::{Applicant, Groups};
use super::jail::SandboxMode;
use super::letter::Letter;
use super::link::{Ear, Heard, Link, LinkError};
use super::process::Process;
use super::window::Window;
use crate::heaps::Snapshot;
use crate::limits;

/// The version that a worker must have: both programs are built together.
const WORKER_VERSION: &str = env!("CARGO_PKG_VERSION");

/// Why a started worker did not become ready.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// It is of another version.
    #[error(
        "the worker program {} is of version {found} (protocol {found_protocol}), this server of \
         version {WORKER_VERSION} (protocol {PROTOCOL_VERSION}); install both from one build, or \
         correct --worker-path", .path.display()
    )]
    OtherVersion {
        /// The program.
        path: PathBuf,
        /// Its version.
        found: String,
        /// The version of its protocol.
        found_protocol: u32,
    },
    /// It is not in its jail.
    #[error(
        "the worker program {} says that it is not confined ({missing}), and nobody's code may be given \
         to it; install mcp-v8 and mcp-v8-worker from one build, or correct --worker-path. \
         'mcp-v8 --check-sandbox' shows each layer", .path.display()
    )]
    Unconfined {
        /// The program.
        path: PathBuf,
        /// What it does not have.
        missing: &'static str,
    },
    /// It closed its pipe before it said Hello.
    #[error("it went away before it said Hello")]
    Gone,
    /// It sent something else.
    #[error(transparent)]
    Broken(#[from] LinkError),
}

/// Checks that a worker or fork server is of this build.
pub(super) fn check_version(hello: &Hello, program: &Path) -> Result<(), LaunchError> {
    if hello.protocol_version != PROTOCOL_VERSION || hello.worker_version != WORKER_VERSION {
        return Err(LaunchError::OtherVersion {
            path: program.to_path_buf(),
            found: super::exit::printable_tail(hello.worker_version.as_bytes(), 64),
            found_protocol: hello.protocol_version,
        });
    }
    Ok(())
}

/// What a worker says that it lacks, of what it must have. One that lies is none of ours; what this
/// finds is a program that was built or started in the wrong way.
fn missing_layer(confinement: Confinement, sandbox: SandboxMode) -> Option<&'static str> {
    match sandbox {
        _ if !confinement.seccomp => Some("no system call filter"),
        _ if !confinement.checked => Some("its own checks have not passed"),
        SandboxMode::Required if !confinement.is_walled() => {
            Some("neither Landlock nor all namespaces, one of which --sandbox required asks for")
        }
        SandboxMode::Required | SandboxMode::BestEffort => None,
    }
}

/// A process that runs the worker program, as far as we know.
#[derive(Debug)]
pub struct Spawned {
    process: Process,
    link: Link,
    window: Option<Window>,
    program: Arc<Path>,
    sandbox: SandboxMode,
    groups: Groups,
}

/// Proof that a Hello was heard and is right.
#[derive(Debug)]
pub struct HelloChecked {
    engine: Engine,
    confinement: Confinement,
}

/// What a worker's runtime is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engine {
    /// The version of its V8.
    pub v8_version: String,
    /// What else snapshots of its heaps depend on.
    pub heap_build: String,
}

impl Spawned {
    pub(super) fn new(
        process: Process,
        link: Link,
        window: Option<Window>,
        program: Arc<Path>,
        sandbox: SandboxMode,
        groups: Groups,
    ) -> Self {
        Self {
            process,
            link,
            window,
            program,
            sandbox,
            groups,
        }
    }

    /// Waits for Hello and checks it. It has no time limit of its own. Can be dropped and asked
    /// again.
    ///
    /// # Errors
    /// [`LaunchError`]; only [`Spawned::into_process`] is of use then.
    pub async fn hello(&mut self) -> Result<HelloChecked, LaunchError> {
        match self.next().await? {
            Some(FromWorker::Hello(hello)) => self.check(hello),
            // The phase lets nothing but Hello through.
            Some(
                FromWorker::Console(_)
                | FromWorker::Fetch(_)
                | FromWorker::Finished(_)
                | FromWorker::Saved(_)
                | FromWorker::Unsaved(_),
            )
            | None => Err(LaunchError::Gone),
        }
    }

    async fn next(&mut self) -> Result<Option<FromWorker>, LinkError> {
        tokio::select! {
            biased;
            message = self.link.receive() => message,
            () = self.process.exited() => self.link.try_receive(),
        }
    }

    fn check(&self, hello: Hello) -> Result<HelloChecked, LaunchError> {
        check_version(&hello, &self.program)?;
        if let Some(missing) = missing_layer(hello.confinement, self.sandbox) {
            return Err(LaunchError::Unconfined {
                path: self.program.to_path_buf(),
                missing,
            });
        }
        Ok(HelloChecked {
            engine: Engine {
                v8_version: hello.v8_version,
                heap_build: hello.heap_build,
            },
            confinement: hello.confinement,
        })
    }

    /// The next step. From here on it may get a control group: its runtime is made.
    pub fn into_ready(self, hello: HelloChecked) -> Ready {
        Ready {
            applicant: self.process.apply(&self.groups),
            process: self.process,
            link: self.link,
            window: self.window,
            engine: hello.engine,
            confinement: hello.confinement,
        }
    }

    /// The end of all steps.
    pub fn into_process(self) -> Process {
        self.process
    }
}

/// A worker that is confined, of this version, and has seen nobody's code.
#[derive(Debug)]
pub struct Ready {
    process: Process,
    link: Link,
    window: Option<Window>,
    applicant: Option<Applicant>,
    engine: Engine,
    confinement: Confinement,
}

impl Ready {
    /// What its runtime is.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// What confines it, in its own words.
    pub fn confinement(&self) -> Confinement {
        self.confinement
    }

    /// Whether it has not ended. Does not wait.
    pub(super) fn is_alive(&self) -> bool {
        self.process.is_alive()
    }

    /// Gives it its one execution, once it is in its control group and that knows how much memory
    /// there is to be. `snapshot` is the heap that it continues. The message travels while
    /// [`Running::next`] is awaited.
    ///
    /// # Errors
    /// The process, to be ended, when the message breaks a limit of the protocol, or its window cannot
    /// take the snapshot.
    pub async fn start(
        mut self,
        start: Start,
        snapshot: Option<Snapshot>,
    ) -> Result<Running, (Process, LinkError)> {
        let member = match self.applicant {
            Some(applicant) => applicant.member(memory_bytes(&start)).await,
            None => None,
        };
        self.process.join(member);
        let window = match self.window {
            None => None,
            Some(window) => match fill(window, start.limits.snapshot_bytes, snapshot).await {
                Ok(window) => Some(window),
                Err(error) => return Err((self.process, error.into())),
            },
        };
        match self.link.send(&ToWorker::Start(start)) {
            Ok(()) => Ok(Running {
                process: self.process,
                link: self.link,
                window,
            }),
            Err(error) => Err((self.process, error)),
        }
    }

    /// The end of all steps.
    pub fn into_process(self) -> Process {
        self.process
    }
}

/// Makes a window ready. It takes as long as memory is written, which may be some time.
async fn fill(
    window: Window,
    bytes: u64,
    snapshot: Option<Snapshot>,
) -> std::io::Result<Arc<Window>> {
    let filled = tokio::task::spawn_blocking(move || {
        window.fill(bytes, snapshot.as_deref().unwrap_or_default())?;
        Ok(Arc::new(window))
    });
    filled.await.map_err(std::io::Error::other)?
}

/// What an execution may take of the machine's memory, in bytes.
fn memory_bytes(start: &Start) -> u64 {
    let limits = start.limits;
    // A snapshot is made in memory, and then lies in the window.
    let saving = limits
        .snapshot_bytes
        .saturating_mul(limits::SAVING_COPIES + 1);
    limits
        .heap_bytes
        .saturating_add(limits.buffer_bytes)
        .saturating_add(limits::WORKER_GROUP_ROOM_BYTES)
        .saturating_add(saving)
}

/// What a running worker says.
#[derive(Debug, PartialEq, Eq)]
pub enum Word {
    /// Console output.
    Console(String),
    /// Of a request that the script makes.
    Fetch(FetchCall),
    /// Nothing, but there is room for a reply, and there was none.
    Room,
    /// How the script ended: its last word, unless its heap is saved.
    Finished(Finished),
    /// Its heap lies in the window.
    Saved {
        /// How long the snapshot is.
        bytes: u64,
    },
    /// Its heap cannot be saved.
    Unsaved {
        /// Why, in its words.
        why: String,
    },
    /// It closed its pipe, or died.
    Gone,
}

/// A worker that runs somebody's code: every byte of it is hostile.
#[derive(Debug)]
pub struct Running {
    process: Process,
    link: Link,
    window: Option<Arc<Window>>,
}

impl Running {
    /// The next word; with a shut [`Ear`] there is none but [`Word::Room`]. What was said before a death
    /// is heard first. Nothing is lost when the future is dropped.
    ///
    /// # Errors
    /// [`LinkError`]: kill it.
    pub async fn next(&mut self, ear: Ear) -> Result<Word, LinkError> {
        let message = tokio::select! {
            biased;
            heard = self.link.hear(ear) => match heard? {
                Heard::Message(message) => Some(message),
                Heard::Room => return Ok(Word::Room),
                Heard::End => None,
            },
            () = self.process.exited(), if ear == Ear::Open => self.link.try_receive()?,
        };
        Self::word(message)
    }

    /// Whether one more reply may be given to it.
    pub fn has_room(&self) -> bool {
        self.link.has_room()
    }

    /// Gives it a reply, which travels while [`Running::next`] is awaited.
    ///
    /// # Errors
    /// [`LinkError`] when it has finished, or the reply breaks a limit of the protocol.
    pub fn reply(&mut self, reply: FetchReply) -> Result<(), LinkError> {
        self.link.reply(reply)
    }

    /// Memory of its own that is resident, in bytes; `None` where the system does not tell.
    pub fn resident_bytes(&self) -> Option<u64> {
        self.process.resident_bytes()
    }

    /// A copy of the snapshot that it has put into its window.
    ///
    /// # Errors
    /// When there are not so many bytes, or no memory for them.
    pub async fn snapshot(&self, bytes: u64) -> std::io::Result<Vec<u8>> {
        let window = self.window.clone().ok_or(std::io::ErrorKind::Unsupported)?;
        let copied = tokio::task::spawn_blocking(move || window.copy(bytes));
        copied.await.map_err(std::io::Error::other)?
    }

    /// The end of all steps.
    pub fn into_process(self) -> (Process, Errand) {
        (self.process, Errand(self.link.into_letter()))
    }

    fn word(message: Option<FromWorker>) -> Result<Word, LinkError> {
        match message {
            Some(FromWorker::Console(console)) => Ok(Word::Console(console.text)),
            Some(FromWorker::Fetch(call)) => Ok(Word::Fetch(call)),
            Some(FromWorker::Finished(finished)) => Ok(Word::Finished(finished)),
            Some(FromWorker::Saved(saved)) => Ok(Word::Saved { bytes: saved.bytes }),
            Some(FromWorker::Unsaved(unsaved)) => Ok(Word::Unsaved {
                why: super::exit::printable_tail(unsaved.why.text.as_bytes(), UNSAVED_BYTES_MAX),
            }),
            // The phase lets no second Hello through.
            Some(FromWorker::Hello(_)) | None => Ok(Word::Gone),
        }
    }
}

/// What a worker was given, kept until it is known whether it has read any of it.
#[derive(Debug)]
pub struct Errand(Letter);

impl Errand {
    /// What it was given, when it is certain that it has not read a byte. Only of a worker that has
    /// ended: before, nothing is certain.
    pub fn unread(self) -> Option<Start> {
        let ToWorker::Start(start) = self.0.unread()? else {
            return None;
        };
        Some(start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_says_that_it_is_not_confined_is_refused() {
        let whole = Confinement {
            seccomp: true,
            landlock: true,
            checked: true,
            ..Confinement::default()
        };
        let unwalled = Confinement {
            landlock: false,
            user_namespace: true,
            mount_namespace: true,
            network_namespace: true,
            ..whole
        };
        let walled = Confinement {
            pid_namespace: true,
            ..unwalled
        };
        let unfiltered = Confinement {
            seccomp: false,
            ..walled
        };
        let unchecked = Confinement {
            checked: false,
            ..whole
        };
        let (required, best_effort) = (SandboxMode::Required, SandboxMode::BestEffort);
        for mode in [required, best_effort] {
            assert_eq!(missing_layer(whole, mode), None);
            assert_eq!(missing_layer(walled, mode), None);
            assert!(missing_layer(unfiltered, mode).is_some());
            assert!(missing_layer(unchecked, mode).is_some());
            assert!(missing_layer(Confinement::default(), mode).is_some());
        }
        assert!(missing_layer(unwalled, required).is_some());
        assert_eq!(missing_layer(unwalled, best_effort), None);
    }
}
