//! Where workers come from.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mcp_v8_protocol::mode::Mode;

use super::appetite::Bounds;
use super::cgroup::Groups;
use super::jail::Jail;
use super::launch::{Ready, Spawned};
use super::modules::ModuleFile;
use super::pool::{Awaited, Pool, PoolConfig};
use super::proc;
use super::process::Process;
use super::shop::{Executing, Kind, Shop};
use super::turnover::Turnover;
use super::vitals::Vitals;
use crate::metrics::PoolFigures;

/// Why no worker process was started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// There is no such program.
    #[error(
        "there is no worker program at {}; build mcp-v8-worker, put it beside mcp-v8, or give its \
         place with --worker-path", .path.display()
    )]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// It may not be executed.
    #[error(
        "the worker program {} cannot be executed (permission denied); make it an executable file \
         (chmod +x) on a file system that is not mounted noexec", .path.display()
    )]
    NotExecutable {
        /// The program.
        path: PathBuf,
    },
    /// It is no program for this machine.
    #[error(
        "{} is not a program for this machine; build mcp-v8-worker for it, or correct \
         --worker-path", .path.display()
    )]
    WrongFormat {
        /// The program.
        path: PathBuf,
    },
    /// The system has no process, descriptor or memory left.
    #[error(
        "the system refused to start the worker {}: {source}; raise its limits of processes, open \
         files or memory, or lower --max-concurrent-executions", .path.display()
    )]
    System {
        /// The program.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The thread that starts processes is gone.
    #[error("what starts workers has stopped; restart the server")]
    Stopped,
}

/// How workers are started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WorkerStart {
    /// Forked by a fork server that holds a warm runtime, and parked until they are needed. Fast;
    /// workers of one fork server share a memory layout. Where there is no fork server, as by
    /// [`WorkerStart::Exec`].
    #[default]
    Zygote,
    /// Executed, one by one, when they are needed. Nothing is shared; each costs a runtime.
    Exec,
}

impl WorkerStart {
    /// The way of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Zygote, Self::Exec]
            .into_iter()
            .find(|way| way.name() == name)
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Zygote => "zygote",
            Self::Exec => "exec",
        }
    }
}

/// What workers are started as.
#[derive(Debug, Clone)]
pub struct SpawnerConfig {
    /// The worker's program.
    pub program: PathBuf,
    /// Its jail and engine.
    pub jail: Jail,
    /// How.
    pub start: WorkerStart,
    /// The WebAssembly modules that scripts get.
    pub modules: ModuleFile,
    /// Whether they keep heaps.
    pub mode: Mode,
    /// Executions that run at once: no more workers than this and a few are parked.
    pub max_concurrent: usize,
    /// How long a worker or fork server may take to say Hello.
    pub hello_timeout: Duration,
    /// When a fork server makes room for the next.
    pub turnover: Turnover,
}

/// Starts workers. Clones share everything; with the last of them, and of their workers, every
/// process ends.
#[derive(Debug, Clone)]
pub struct Spawner {
    source: Source,
    groups: Groups,
    modules: ModuleFile,
    vitals: Vitals,
}

#[derive(Debug, Clone)]
enum Source {
    Exec(Shop),
    Pool(Pool),
}

impl Spawner {
    /// Opens the source of workers. Must be called within the asynchronous runtime.
    ///
    /// # Errors
    /// When the system has no thread left, or is too old (Linux 5.11 is needed).
    pub fn start(config: SpawnerConfig) -> io::Result<Self> {
        proc::warn_if_foreign();
        // First, so that whatever is started has its place.
        let groups = Groups::open()?;
        let kind = Kind {
            program: config.program.into(),
            jail: config.jail,
            mode: config.mode,
            modules: config.modules.clone(),
        };
        let shop = Shop::open(kind, groups.clone())?;
        let vitals = Vitals::default();
        let source = match config.start {
            WorkerStart::Exec => Source::Exec(shop),
            WorkerStart::Zygote => {
                let pool = PoolConfig {
                    bounds: Bounds::for_concurrency(config.max_concurrent),
                    hello_timeout: config.hello_timeout,
                    turnover: config.turnover,
                };
                Source::Pool(Pool::open(shop, pool, vitals.clone()))
            }
        };
        Ok(Self {
            source,
            groups,
            modules: config.modules,
            vitals,
        })
    }

    /// A source of a few executed workers that keep no heaps and have no control groups, before there
    /// is a server.
    ///
    /// # Errors
    /// As [`Spawner::start`].
    pub fn for_check(program: &Path, jail: Jail, modules: ModuleFile) -> io::Result<Self> {
        let kind = Kind {
            program: program.into(),
            jail,
            mode: Mode::Stateless,
            modules: modules.clone(),
        };
        let groups = Groups::NONE;
        let source = Source::Exec(Shop::open(kind, groups.clone())?);
        Ok(Self {
            source,
            groups,
            modules,
            vitals: Vitals::default(),
        })
    }

    /// What a worker may have resident of preloaded modules, beside all else, in bytes.
    pub fn module_bytes(&self) -> u64 {
        self.modules.resident_bytes_max()
    }

    /// Whether workers can be had.
    pub fn vitals(&self) -> &Vitals {
        &self.vitals
    }

    /// What the pool counts; `None` where there is none.
    pub fn figures(&self) -> Option<&PoolFigures> {
        match &self.source {
            Source::Exec(_) => None,
            Source::Pool(pool) => Some(pool.figures()),
        }
    }

    /// The program that it starts.
    pub fn program(&self) -> &Path {
        match &self.source {
            Source::Exec(shop) => shop.program(),
            Source::Pool(pool) => pool.program(),
        }
    }

    /// Asks for one worker, without waiting for it.
    ///
    /// # Errors
    /// [`SpawnError`]: nothing was asked.
    pub fn request(&self) -> Result<Spawning, SpawnError> {
        Ok(Spawning(match &self.source {
            Source::Exec(shop) => Wait::Exec(shop.worker()?),
            Source::Pool(pool) => Wait::Pool(pool.request()?),
        }))
    }

    /// Starts one worker. When the future is dropped, so is the worker.
    ///
    /// # Errors
    /// [`SpawnError`].
    pub async fn spawn(&self) -> Result<Begun, SpawnError> {
        self.request()?.started().await
    }

    /// Ends what waits for work, and every fork server, and waits until they are reaped. Nothing can
    /// be asked for after it.
    pub async fn shut_down(&self) {
        match &self.source {
            Source::Exec(shop) => shop.settle().await,
            Source::Pool(pool) => pool.shut_down().await,
        }
        self.groups.shut_down().await;
    }
}

/// A worker as its source gives it.
#[derive(Debug)]
pub enum Begun {
    /// It was just started, and has not said Hello.
    Fresh(Spawned),
    /// It has waited for this.
    Parked(Ready),
}

impl Begun {
    /// The end of all steps.
    pub fn into_process(self) -> Process {
        match self {
            Self::Fresh(spawned) => spawned.into_process(),
            Self::Parked(ready) => ready.into_process(),
        }
    }
}

/// A worker that was asked for. When this is dropped, so is the worker.
#[derive(Debug)]
pub struct Spawning(Wait);

#[derive(Debug)]
enum Wait {
    Exec(Executing),
    Pool(Awaited),
}

impl Spawning {
    /// Waits until there is one. Can be dropped and asked again, until it has answered.
    ///
    /// # Errors
    /// [`SpawnError`].
    pub async fn started(&mut self) -> Result<Begun, SpawnError> {
        match &mut self.0 {
            Wait::Exec(executing) => executing.started().await.map(Begun::Fresh),
            Wait::Pool(awaited) => awaited.given().await,
        }
    }
}
