//! Executions and their output, sessions, and what is known of heaps, in SQLite.
//!
//! ```text
//! drivers ─▶ bounded queue ─▶ writer: one thread, one connection, many writes a transaction
//! callers ◀─ a few connections that only read, on threads for blocking work
//! ```
//!
//! Several servers may share one database. Each ends what it has begun; a server that finds a dead
//! one's unfinished executions ends them as failed.

mod cluster;
mod doomed;
mod durable;
mod error;
mod garbage;
mod inspect;
mod keep;
mod maintenance;
mod open;
mod page;
mod place;
mod prefix;
mod read;
mod recall;
mod record;
mod replica;
mod replication;
mod schema;
mod session;
mod shared;
pub mod snapshot;
mod source;
mod tags;
mod usage;
mod write;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

pub use cluster::Replicate;
pub use doomed::DoomedHeap;
pub use error::{OpenError, StoreError};
pub use garbage::{Expiry, HeapCensus, HeapCount, HeapRetention, UnneededHeap};
pub use inspect::{DatabaseFound, inspect};
pub use keep::Keep;
pub use read::{ListPosition, Stored};
pub use recall::{EntriesPage, EntryRange, Listed, SessionEntry, TaggedHeap};
pub use record::{
    CancelledBy, End, ExecutionId, FailureKind, HeapEnd, Limits, MalformedExecutionId, OutputPage,
    PageRequest, Status, Summary, Usage, View,
};
#[cfg(test)]
pub(crate) use replica::tests::read_back;
pub use replication::{AppliedItems, Replication, ReplicationError, SharedState};
pub use session::{MalformedSessionName, SessionName};
pub use source::Source;
pub use tags::{MalformedTagKey, MalformedTags, TagKey, Tags};
pub use usage::PastUse;
pub use write::Chunk;

use self::open::Opened;
use self::write::Write;
use self::writer::{Order, Waiter};
use crate::limits;
use crate::metrics::StoreFigures;
use crate::raft::command::{Command, Outcome};
use crate::raft::ids::RaftId;
use crate::tenant::Tenant;

/// Where executions are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StorePlace {
    /// In `executions.db` in this directory, across restarts. It is made when missing (0700).
    Directory(PathBuf),
    /// In a private temporary directory that goes at exit.
    Temporary,
}

impl StorePlace {
    /// Whether there is a database.
    pub fn exists(&self) -> bool {
        match self {
            Self::Directory(path) => path.join(place::DATABASE_NAME).exists(),
            Self::Temporary => false,
        }
    }
}

/// How long ended executions are kept, with their code and output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// At most so long after their end.
    pub age_max: Duration,
    /// At most so many.
    pub count_max: u64,
    /// At most so many bytes of code, results, errors and output together.
    pub bytes_max: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            age_max: limits::RETENTION_AGE_DEFAULT,
            count_max: limits::RETENTION_COUNT_DEFAULT,
            bytes_max: limits::RETENTION_BYTES_DEFAULT,
        }
    }
}

/// Executions that are named alike.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdMatches {
    /// The newest of them, newest first.
    pub newest: Vec<ExecutionId>,
    /// How many there are.
    pub total: u64,
}

/// The store. Clones are cheap and share everything.
#[derive(Debug, Clone)]
pub struct Store {
    orders: mpsc::Sender<Order>,
    health: watch::Receiver<Option<StoreError>>,
    readers: Arc<Readers>,
    owner: RaftId,
    figures: StoreFigures,
    database: Arc<Path>,
    /// What makes changes of what is shared, in a cluster.
    node: Arc<OnceLock<Arc<dyn Replicate>>>,
}

/// How much there is of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreLoad {
    /// Writes that wait for the writer.
    pub queued: usize,
    /// What the database takes on disk with its journal, in bytes.
    pub database_bytes: u64,
}

/// The connections that read.
#[derive(Debug)]
struct Readers {
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
}

impl Store {
    /// Opens a database, brings it up to date, and ends what dead servers have left. It blocks.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(place: StorePlace, retention: Retention) -> Result<Self, OpenError> {
        let opened = Opened::open(place)?;
        opened.serve_alone(retention)
    }

    /// Opens the database of a node of a cluster, which nobody else uses. What is shared changes by
    /// [`Store::replication`] alone. It blocks.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open_in_cluster(
        place: StorePlace,
        retention: Retention,
        node: RaftId,
    ) -> Result<Self, OpenError> {
        let opened = Opened::open(place)?;
        opened.serve_in_cluster(retention, node)
    }

    /// What the thread of a cluster's node uses.
    pub fn replication(&self) -> Replication {
        Replication::new(self.orders.clone(), Arc::clone(&self.database))
    }

    /// Whether its writer works, or has ended.
    pub fn lives(&self) -> bool {
        !self.orders.is_closed()
    }

    /// What it counts.
    pub fn figures(&self) -> &StoreFigures {
        &self.figures
    }

    /// How much there is of it. It asks the file system, and so may block.
    pub fn load(&self) -> StoreLoad {
        let of = |suffix: &str| {
            let mut path = self.database.as_os_str().to_owned();
            path.push(suffix);
            std::fs::metadata(path).map_or(0, |about| about.len())
        };
        StoreLoad {
            queued: self.orders.max_capacity() - self.orders.capacity(),
            database_bytes: of("") + of("-wal"),
        }
    }

    /// Why the last write failed, until one succeeds.
    pub fn trouble(&self) -> Option<StoreError> {
        self.health.borrow().clone()
    }

    /// What tells this database from every other.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn database_id(&self) -> Result<String, StoreError> {
        self.read(|connection| {
            let id = connection.query_row("SELECT id FROM identity", [], |row| row.get(0))?;
            Ok(id)
        })
        .await
    }

    /// Waits for room for one more write. It waits while the disk is slower than the scripts; the
    /// future can be dropped.
    ///
    /// # Errors
    /// [`StoreError::Closed`].
    pub async fn reserve(&self) -> Result<Room<'_>, StoreError> {
        let permit = self.orders.reserve().await;
        let permit = permit.map_err(|_| StoreError::Closed)?;
        Ok(Room {
            permit,
            owner: self.owner,
        })
    }

    /// Records an end with what is kept of it, all or nothing, and waits until it is committed. The
    /// heap that is kept is durable already.
    ///
    /// # Errors
    /// [`StoreError`]: nothing of it is recorded.
    pub async fn end(&self, view: View, keep: Option<Keep>) -> Result<(), StoreError> {
        let mut execution = view.into_execution(self.owner);
        if let Some(keep) = &keep {
            let session = keep.session.as_ref().map(|name| name.as_str().to_owned());
            execution.session = session;
            execution.input_heap = keep.input_heap.map(|heap| *heap.as_bytes());
        }
        let kept = keep.map(|keep| Box::new(keep.into_kept()));
        self.change(Command::End(Box::new(execution), kept)).await?;
        Ok(())
    }

    /// Waits until everything before is committed.
    ///
    /// # Errors
    /// [`StoreError`]: something before is not recorded.
    pub async fn flush(&self) -> Result<(), StoreError> {
        self.ask(Order::Flush).await?;
        Ok(())
    }

    /// Commits what is left, signs off and stops. Nothing can be written or read afterwards.
    ///
    /// # Errors
    /// [`StoreError::Closed`] when it was closed before.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.readers.permits.close();
        self.readers.lock().clear();
        self.ask(Order::Close).await?;
        Ok(())
    }

    /// An execution; `None` when this tenant has no such execution.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn get(&self, tenant: Tenant, id: ExecutionId) -> Result<Option<Stored>, StoreError> {
        let owner = self.owner;
        self.read(move |connection| read::get(connection, owner, &tenant, id))
            .await
    }

    /// A page of an execution's output; `None` when this tenant has no such execution. The request is
    /// within its limits already.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn output(
        &self,
        tenant: Tenant,
        id: ExecutionId,
        request: PageRequest,
    ) -> Result<Option<OutputPage>, StoreError> {
        self.read(move |connection| {
            let snapshot = connection.transaction_with_behavior(TransactionBehavior::Deferred)?;
            page::page(&snapshot, &tenant, id, request)
        })
        .await
    }

    /// The executions of a tenant, newest first, at most `limit`, older than `after`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list(
        &self,
        tenant: Tenant,
        filter: Option<Status>,
        limit: u32,
        after: Option<ListPosition>,
    ) -> Result<Vec<(ListPosition, Summary)>, StoreError> {
        self.read(move |connection| read::list(connection, &tenant, filter, limit, after))
            .await
    }

    async fn write_now(&self, write: Write) -> Result<Outcome, StoreError> {
        self.ask(|waiter| Order::WriteNow(write, waiter)).await
    }

    async fn send(&self, order: Order) -> Result<(), StoreError> {
        self.orders
            .send(order)
            .await
            .map_err(|_| StoreError::Closed)
    }

    async fn ask(&self, order: impl FnOnce(Waiter) -> Order) -> Result<Outcome, StoreError> {
        let (waiter, answer) = oneshot::channel();
        self.send(order(waiter)).await?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let readers = Arc::clone(&self.readers);
        let permit = Arc::clone(&self.readers.permits)
            .acquire_owned()
            .await
            .map_err(|_| StoreError::Closed)?;
        tokio::task::spawn_blocking(move || {
            // Held until the connection is back, also when nobody waits for the answer any more.
            let _permit = permit;
            let mut connection = readers.lock().pop().ok_or(StoreError::Closed)?;
            let found = look(&mut connection);
            if !readers.permits.is_closed() {
                readers.lock().push(connection);
            }
            found
        })
        .await
        .map_err(|_| StoreError::Closed)?
    }
}

/// Room for one write.
#[derive(Debug)]
pub struct Room<'a> {
    permit: mpsc::Permit<'a, Order>,
    owner: RaftId,
}

impl Room<'_> {
    /// Records a new execution with its code; durable within [`limits::WRITER_LINGER`] and a commit. A write that
    /// fails later shows in [`Store::trouble`].
    pub fn accept(self, view: View, code: String) {
        let execution = Box::new(view.into_execution(self.owner));
        self.permit
            .send(Order::Write(Write::Accept(execution, code)));
    }

    /// Records that an execution has started.
    pub fn start(self, view: View) {
        let execution = Box::new(view.into_execution(self.owner));
        self.permit.send(Order::Write(Write::Start(execution)));
    }

    /// Records output.
    pub fn append(self, chunk: Chunk) {
        self.permit.send(Order::Write(Write::Output(chunk)));
    }
}

impl Readers {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The version of SQLite.
pub fn sqlite_version() -> &'static str {
    rusqlite::version()
}
