//! All executions of a server.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use mcp_v8_protocol::message::Confinement;
use tokio::sync::{Notify, OnceCell, oneshot, watch};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::answers::Answering;
use super::bucket::{BucketCollector, Keeping};
use super::copies::Copies;
use super::cursor::Cursors;
use super::error::{Error, Internal, Unavailable};
use super::garbage::Collector;
use super::load::EndCounts;
use super::neighbours::about;
use super::nodes::{Nodes, undecided};
use super::readiness::Disks;
use super::recent::Recent;
use super::start::{self, ExecutionsConfig, Mode, StartError, State};
use super::steward::Steward;
use crate::audit::Audit;
use crate::cluster::Opened;
use crate::execution::admission::{Admission, Turn};
use crate::execution::driver::Services;
use crate::execution::modules::{ModuleCheck, ModulesError};
use crate::execution::probe::{Probed, probe};
use crate::heaps::{HeapUser, Heaps};
use crate::metrics::ExecutionFigures;
use crate::quota::Sharing;
use crate::store::{CancelledBy, ExecutionId, Limits, Retention, StoreError, View};
use crate::tenant::Tenant;
use crate::workers::{ModuleFile, Spawner, SpawnerConfig};

/// All executions of this server, of all tenants: it starts, stands and ends as a whole. What can be done
/// with executions is done by a tenant, in its [`super::Workspace`]. Clones are cheap and share
/// everything.
#[derive(Debug, Clone)]
pub struct Executions {
    pub(super) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) services: Services,
    pub(super) admission: Admission,
    /// From when it is a node of a cluster, if it is to be one.
    pub(super) nodes: OnceLock<Arc<Nodes>>,
    defaults: Mutex<Limits>,
    pub(super) mode: Mode,
    /// From when somebody has needed them: in a cluster, their key is its log's to say.
    pub(super) cursors: OnceCell<Cursors>,
    sharing: Sharing,
    pub(super) probed: Probed,
    pub(super) disks: Disks,
    pub(super) tasks: TaskTracker,
    live: Mutex<Live>,
    /// Told when the last driver has gone.
    pub(super) emptied: Notify,
    pub(super) ended: EndCounts,
    /// Ends what goes on beside executions, at the latest when nobody can use them any more.
    pub(super) stop: DropGuard,
}

/// The executions that have a driver, and those that had one a moment ago.
#[derive(Debug, Default)]
pub(super) struct Live {
    pub(super) is_closing: bool,
    pub(super) recent: Recent,
    pub(super) drivers: HashMap<ExecutionId, LiveExecution>,
}

#[derive(Debug)]
pub(super) struct LiveExecution {
    pub(super) tenant: Tenant,
    pub(super) view: watch::Receiver<View>,
    /// When it will run, about.
    pub(super) turn: Turn,
    /// Taken by the first who cancels.
    pub(super) cancel: Option<oneshot::Sender<CancelledBy>>,
    /// Whether other nodes were told of it.
    pub(super) is_announced: bool,
}

impl Live {
    /// An execution of this tenant.
    pub(super) fn of(&mut self, tenant: &Tenant, id: ExecutionId) -> Option<&mut LiveExecution> {
        let execution = self.drivers.get_mut(&id);
        execution.filter(|execution| execution.tenant == *tenant)
    }
}

impl Executions {
    /// Opens the store, and starts one worker to see that it answers and is of this version.
    ///
    /// # Errors
    /// [`StartError`], whose text is for the operator.
    pub async fn start(config: ExecutionsConfig) -> Result<Self, StartError> {
        start::check(&config)?;
        let modules = ModuleFile::new(&config.wasm_modules).map_err(ModulesError::File)?;
        let check = ModuleCheck {
            program: &config.worker_path,
            jail: config.jail,
            modules: &modules,
            hello_timeout: config.hello_timeout,
        };
        check.run(&config.wasm_modules).await?;
        drop(config.wasm_modules);
        let spawner = Spawner::start(SpawnerConfig {
            program: config.worker_path,
            jail: config.jail,
            start: config.worker_start,
            modules,
            mode: config.state.mode(),
            max_concurrent: config.max_concurrent,
            hello_timeout: config.hello_timeout,
            turnover: config.turnover,
        })
        .map_err(StartError::Spawner)?;
        let probed = match probe(&spawner, config.hello_timeout).await {
            Ok(probed) => probed,
            Err(error) => {
                spawner.shut_down().await;
                return Err(error.into());
            }
        };
        let mode = config.state.mode();
        let heaps = start::open_heaps(&config.state, &probed.engine).await?;
        let opened = match config.node {
            None => None,
            Some(node) => Some(Opened::open(node, config.retention).await?),
        };
        let store = match &opened {
            None => start::open_store(config.state.store(), config.retention).await?,
            Some(opened) => {
                opened.share(config.sharing);
                opened.store()
            }
        };
        store.share(config.sharing);
        if let Some(heaps) = &heaps {
            heaps.share(config.sharing);
        }
        let quotas = start::quotas(config.tenant_limits, &store).await?;
        let figures = ExecutionFigures::default();
        if config.sharing == Sharing::Alone {
            figures.of_tenants.name([Tenant::local().name()]);
        }
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let mut collector = None;
        if let (Some(heaps), State::Stateful { retention, .. }) = (&heaps, &config.state) {
            let (id, about) = (store.database_id().await?, about(&config.state));
            let is_own_node = opened.is_some() && heaps.are_own();
            let new = Collector {
                store: store.clone(),
                heaps: heaps.clone(),
                retention: *retention,
                user: if is_own_node {
                    HeapUser::node(&id, about)
                } else {
                    HeapUser::new(id.clone(), about)
                },
            };
            if heaps.are_own() {
                new.enter().await.map_err(StartError::HeapUse)?;
            }
            if is_own_node {
                // What it was before it was in a cluster.
                heaps.dismiss(id).await.map_err(StartError::HeapUse)?;
            }
            collector = Some(new);
        }
        let executions = Self {
            shared: Arc::new(Shared {
                services: Services {
                    store,
                    spawner,
                    heaps,
                    broker: config.broker,
                    figures,
                    hello_timeout: config.hello_timeout,
                    queue_wait_max: config.queue_wait_max,
                    quotas,
                    audit: config.audit,
                },
                admission: Admission::new(
                    config.max_concurrent,
                    config.queue_length_max,
                    config.sharing,
                ),
                nodes: OnceLock::new(),
                defaults: Mutex::new(Limits {
                    heap_memory_max_mb: config.heap_memory_default_mb,
                    execution_timeout_secs: config.execution_timeout_default_secs,
                }),
                mode,
                cursors: OnceCell::new(),
                sharing: config.sharing,
                probed,
                disks: Disks::of(&config.state),
                tasks,
                live: Mutex::default(),
                emptied: Notify::new(),
                ended: EndCounts::default(),
                stop: stop.drop_guard(),
            }),
        };
        if let Some(opened) = opened {
            executions.enter(opened, config.retention).await?;
        }
        if let Some(collector) = collector {
            executions.collect(collector);
        }
        executions.look_after_copies();
        Ok(executions)
    }

    /// Has heaps copied again that are on this node alone, where each node has its own.
    fn look_after_copies(&self) {
        let shared = &self.shared;
        let (Some(nodes), Some(heaps)) = (shared.nodes.get(), &shared.services.heaps) else {
            return;
        };
        if !heaps.are_copied() {
            return;
        }
        let nodes = Arc::clone(nodes);
        let copies = Copies {
            store: shared.services.store.clone(),
            heaps: heaps.clone(),
            nodes: Arc::clone(&nodes),
        };
        let stop = shared.stop.token().clone();
        let tend = async move {
            nodes.known_to_be_up().await;
            copies.tend().await;
        };
        shared.tasks.spawn(stop.run_until_cancelled_owned(tend));
    }

    /// Has heaps removed that can go, once this node knows what its cluster knows: until then it would take
    /// those for orphans whose rows it has not heard of yet.
    fn collect(&self, collector: Collector) {
        let (nodes, stop) = (self.shared.nodes.get().cloned(), self.shared.stop.token());
        let stop = stop.clone();
        self.shared.tasks.spawn(async move {
            let Some(nodes) = nodes else {
                return collector.tend(stop).await;
            };
            stop.run_until_cancelled(nodes.known_to_be_up()).await;
            if collector.heaps.are_own() {
                collector.tend(stop).await;
            } else {
                BucketCollector::new(collector, nodes).tend(stop).await;
            }
        });
    }

    /// Comes to a cluster, and is a node of it from then on.
    async fn enter(&self, opened: Opened, retention: Retention) -> Result<(), StartError> {
        let shared = &self.shared;
        let (me, phone) = (opened.me(), opened.phone());
        let answers = Answering(Arc::downgrade(shared));
        let heaps = shared.services.heaps.as_ref();
        if let Some(heaps) = heaps {
            heaps.join(Arc::new(opened.heap_peers()));
            heaps.revive_by(Arc::new(Keeping(shared.services.store.clone())));
        }
        let heaps = heaps.and_then(Heaps::keeper);
        let member = opened.start(Arc::new(answers), heaps).await?;
        let nodes = Arc::new(Nodes::new(member, phone, me));
        // It is started once.
        let _ = shared.nodes.set(Arc::clone(&nodes));
        let steward = Steward {
            nodes,
            store: shared.services.store.clone(),
            retention,
        };
        steward.begin(shared);
        Ok(())
    }

    /// The version of the workers' V8.
    pub fn v8_version(&self) -> &str {
        &self.shared.probed.engine.v8_version
    }

    /// What confines workers, as the first of them said.
    pub fn confinement(&self) -> Confinement {
        self.shared.probed.confinement
    }

    /// Where it is noted what happens.
    pub fn audit(&self) -> &Audit {
        &self.shared.services.audit
    }

    /// Whether there are several tenants.
    pub fn sharing(&self) -> Sharing {
        self.shared.sharing
    }

    /// Whether anything is kept between executions.
    pub fn mode(&self) -> Mode {
        self.shared.mode
    }
}

impl Shared {
    pub(super) fn defaults(&self) -> MutexGuard<'_, Limits> {
        self.defaults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn unreadable(error: StoreError) -> Error {
    failed(error, "the session database could not be read")
}

/// What becomes of an error of the store; the log says what it was about.
pub(super) fn failed(error: StoreError, what: &'static str) -> Error {
    match error {
        StoreError::Closed => Error::Unavailable(Unavailable::ShuttingDown),
        StoreError::Cluster(failure) => undecided(failure),
        StoreError::Sqlite(_)
        | StoreError::Gap
        | StoreError::Corrupt { .. }
        | StoreError::Shared
        | StoreError::EndedByOthers => {
            tracing::error!(%error, "{what}");
            Error::Internal(Internal::Store {
                problem: error.to_string(),
            })
        }
    }
}
