//! What has to be known and right before executions can be accepted.

use std::path::PathBuf;
use std::time::Duration;

pub use mcp_v8_protocol::mode::Mode;

use crate::audit::Audit;
use crate::cluster::{MemberError, NodeConfig};
use crate::execution::modules::ModulesError;
use crate::execution::probe::ProbeError;
use crate::fetch::Broker;
use crate::heaps::{BuildId, HeapError, Heaps, HeapsConfig, HeapsOpenError, MalformedBuildId};
use crate::limits;
use crate::quota::{Quotas, Sharing, TenantLimits, Used};
use crate::store::{HeapRetention, OpenError, Retention, Store, StoreError, StorePlace};
use crate::workers::{Engine, Jail, Turnover, WasmModule, WorkerStart};

/// What is kept between executions, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Nothing: every execution starts from nothing. Executions and their output live in a private
    /// temporary database that goes at exit.
    Stateless,
    /// Heaps, sessions and tags.
    Stateful {
        /// The directory of the database in which executions, sessions and tags are kept.
        sessions: PathBuf,
        /// Where heaps are kept.
        heaps: HeapsConfig,
        /// How long heaps are kept that nothing needs.
        retention: HeapRetention,
    },
}

impl State {
    /// Where executions are kept.
    pub fn store(&self) -> StorePlace {
        match self {
            Self::Stateless => StorePlace::Temporary,
            Self::Stateful { sessions, .. } => StorePlace::Directory(sessions.clone()),
        }
    }

    /// Whether anything is kept between executions.
    pub const fn mode(&self) -> Mode {
        match self {
            Self::Stateless => Mode::Stateless,
            Self::Stateful { .. } => Mode::Stateful,
        }
    }
}

/// What an operator decides about executions.
#[derive(Debug, Clone)]
pub struct ExecutionsConfig {
    /// The program of the worker.
    pub worker_path: PathBuf,
    /// The jail and the engine of workers.
    pub jail: Jail,
    /// How workers are started.
    pub worker_start: WorkerStart,
    /// WebAssembly modules for scripts.
    pub wasm_modules: Vec<WasmModule>,
    /// What is kept between executions, and where.
    pub state: State,
    /// How it takes part in a cluster, if it does.
    pub node: Option<NodeConfig>,
    /// How long ended executions are kept.
    pub retention: Retention,
    /// Executions that run at once: 1 to [`limits::CONCURRENT_EXECUTIONS_MAX`].
    pub max_concurrent: usize,
    /// Executions that may wait for a slot.
    pub queue_length_max: usize,
    /// How long one may wait for a slot.
    pub queue_wait_max: Duration,
    /// V8's heap for those who do not ask, in MiB.
    pub heap_memory_default_mb: u64,
    /// The timeout for those who do not ask, in seconds.
    pub execution_timeout_default_secs: u64,
    /// How long a worker may take to say Hello.
    pub hello_timeout: Duration,
    /// When a fork server makes room for the next.
    pub turnover: Turnover,
    /// Who makes the requests of scripts; `None`, and they can make none.
    pub broker: Option<Broker>,
    /// What tenants may use that have no limits of their own.
    pub tenant_limits: TenantLimits,
    /// Whether there are several.
    pub sharing: Sharing,
    /// Where it is noted what happens.
    pub audit: Audit,
}

impl ExecutionsConfig {
    /// The defaults of [`limits`], and one execution for each core.
    pub fn new(worker_path: PathBuf, state: State) -> Self {
        Self {
            worker_path,
            jail: Jail::default(),
            worker_start: WorkerStart::default(),
            wasm_modules: Vec::new(),
            state,
            node: None,
            retention: Retention::default(),
            max_concurrent: std::thread::available_parallelism().map_or(1, usize::from),
            queue_length_max: limits::QUEUE_LENGTH_DEFAULT,
            queue_wait_max: limits::QUEUE_WAIT_MAX,
            heap_memory_default_mb: limits::HEAP_MEMORY_MB_DEFAULT,
            execution_timeout_default_secs: limits::EXECUTION_TIMEOUT_SECS_DEFAULT,
            hello_timeout: limits::HELLO_TIMEOUT,
            turnover: Turnover::default(),
            broker: None,
            tenant_limits: TenantLimits::default(),
            sharing: Sharing::Alone,
            audit: Audit::default(),
        }
    }
}

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A number is out of its range.
    #[error("{field} is {found}; allowed: {min} to {max}")]
    OutOfRange {
        /// Which.
        field: &'static str,
        /// What was given.
        found: u64,
        /// The smallest.
        min: u64,
        /// The largest.
        max: u64,
    },
    /// There is no place for executions.
    #[error("executions cannot be kept: {0}")]
    Store(#[from] OpenError),
    /// It cannot take part in a cluster.
    #[error(transparent)]
    Member(#[from] Box<MemberError>),
    /// No process can be started on this system.
    #[error("the thread that starts workers cannot be set up: {0} (Linux 5.11 or newer is needed)")]
    Spawner(std::io::Error),
    /// Workers cannot be given the operator's WebAssembly modules.
    #[error(transparent)]
    Modules(#[from] ModulesError),
    /// A worker does not start, or is of another version.
    #[error(transparent)]
    Worker(#[from] ProbeError),
    /// There is no place for heaps.
    #[error(transparent)]
    Heaps(#[from] HeapsOpenError),
    /// The database cannot be read.
    #[error("the session database cannot be read: {0}")]
    Unreadable(#[from] StoreError),
    /// The place where heaps are kept does not take a note of who uses it.
    #[error("heaps cannot be kept: {0}")]
    HeapUse(HeapError),
    /// A worker does not say what its heaps depend on.
    #[error(
        "the worker program does not name the build of its heaps: {0}; install mcp-v8 and \
         mcp-v8-worker from one build, or correct --worker-path"
    )]
    HeapBuild(#[from] MalformedBuildId),
}

impl From<MemberError> for StartError {
    fn from(error: MemberError) -> Self {
        Self::Member(Box::new(error))
    }
}

/// Opens the database.
pub(super) async fn open_store(
    place: StorePlace,
    retention: Retention,
) -> Result<Store, OpenError> {
    let opened = tokio::task::spawn_blocking(move || Store::open(place, retention)).await;
    opened.map_err(|error| OpenError::Thread(std::io::Error::other(error)))?
}

/// The quotas, with what was used before a restart.
pub(super) async fn quotas(defaults: TenantLimits, store: &Store) -> Result<Quotas, StartError> {
    let quotas = Quotas::new(defaults);
    for past in store.past_use(limits::HOUR_WINDOW).await? {
        let used = Used {
            ago: past.ago,
            cpu_millis: past.cpu_ms,
            output_bytes: past.output_bytes,
        };
        quotas.earlier(&past.tenant, used);
    }
    Ok(quotas)
}

/// Opens the place where heaps are kept, for workers like this one; `None` where they are not.
pub(super) async fn open_heaps(
    state: &State,
    engine: &Engine,
) -> Result<Option<Heaps>, StartError> {
    let State::Stateful { heaps, .. } = state else {
        return Ok(None);
    };
    let build = BuildId::new(&engine.v8_version, &engine.heap_build)?;
    open_heaps_for(heaps.clone(), build).await.map(Some)
}

/// Opens the place where heaps are kept, for a build.
pub(super) async fn open_heaps_for(
    config: HeapsConfig,
    build: BuildId,
) -> Result<Heaps, StartError> {
    let opened = tokio::task::spawn_blocking(move || Heaps::open(config, build)).await;
    let opened = opened.map_err(|error| OpenError::Thread(std::io::Error::other(error)))?;
    Ok(opened?)
}

/// Checks the numbers of an operator.
pub(super) fn check(config: &ExecutionsConfig) -> Result<(), StartError> {
    let checks = [
        (
            "max_concurrent_executions",
            config.max_concurrent as u64,
            1,
            limits::CONCURRENT_EXECUTIONS_MAX as u64,
        ),
        (
            "heap_memory_max",
            config.heap_memory_default_mb,
            limits::HEAP_MEMORY_MB_SERVER_MIN,
            limits::HEAP_MEMORY_MB_MAX,
        ),
        (
            "execution_timeout",
            config.execution_timeout_default_secs,
            limits::EXECUTION_TIMEOUT_SECS_MIN,
            limits::EXECUTION_TIMEOUT_SECS_MAX,
        ),
    ];
    for (field, found, min, max) in checks {
        if !(min..=max).contains(&found) {
            return Err(StartError::OutOfRange {
                field,
                found,
                min,
                max,
            });
        }
    }
    Ok(())
}
