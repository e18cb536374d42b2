//! Executions and their output, sessions, and what is known of heaps, in SQLite.
//!
//! ```text
//! drivers ─▶ bounded queue ─▶ writer: one thread, one connection, many writes a transaction
//! callers ◀─ a few connections that only read, on threads for blocking work
//! ```
//!
//! Tenants share the places in the queue and the connections, so that none waits for the flood of another.
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
mod known;
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
#[cfg(test)]
mod simulated_tests;
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
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

pub use cluster::Replicate;
pub use doomed::DoomedHeap;
pub use error::{OpenError, StoreError};
pub use garbage::{Expiry, HeapCensus, HeapCount, HeapRetention, UnneededHeap};
pub use inspect::{DatabaseFound, inspect};
pub use keep::Keep;
pub use known::KnownHeap;
pub use read::{ExecutionPosition, ListPosition, Stored};
pub use recall::{EntriesPage, EntryRange, Listed, SessionEntry, TaggedHeap};
pub use record::{
    CancelledBy, End, ExecutionId, FailureKind, HeapEnd, Limits, MalformedExecutionId, OutputPage,
    PageRequest, Status, Summary, Usage, View,
};
#[cfg(test)]
pub(crate) use replica::tests::{command as any_command, read_back};
pub use replication::{AppliedItems, Replication, ReplicationError, SharedState};
pub use session::{MalformedSessionName, SessionName};
pub use source::Source;
pub use tags::{MalformedTagKey, MalformedTags, TagKey, Tags};
pub use usage::PastUse;
pub use write::Chunk;

use self::open::Opened;
use self::write::Write;
use self::writer::{Order, Queued, Waiter};
use crate::limits;
use crate::metrics::StoreFigures;
use crate::quota::{Crowd, Member, Sharing};
pub use crate::raft::command::{CURSOR_KEY_BYTES, CursorKey};
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
    orders: mpsc::Sender<Queued>,
    /// Places in that queue.
    places: Crowd,
    health: watch::Receiver<Option<StoreError>>,
    readers: Arc<Readers>,
    /// Changes that the node is asked for; none on a single node.
    changes: Crowd,
    /// The server is about to end.
    hurry: CancellationToken,
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
    turns: Crowd,
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

    /// Is used by so many tenants from now on; by one until then.
    pub fn share(&self, sharing: Sharing) {
        self.places.share(sharing);
        self.readers.turns.share(sharing);
        self.changes.share(sharing);
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
        self.read_own(|connection| {
            let id = connection.query_row("SELECT id FROM identity", [], |row| row.get(0))?;
            Ok(id)
        })
        .await
    }

    /// What hides places in lists from those who are given them: the same for all servers on this
    /// database, and for all nodes of a cluster. Who needs it first has it written down.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn cursor_key(&self) -> Result<CursorKey, StoreError> {
        if let Some(key) = self
            .read_own(|connection| read::cursor_key(connection))
            .await?
        {
            return Ok(key);
        }
        let proposed = self.read_own(|connection| read::own_cursor_key(connection));
        let proposed = proposed.await?;
        self.change_own(Command::HidePlaces(proposed)).await?;
        // Somebody else may have been first.
        let key = self.read_own(|connection| read::cursor_key(connection));
        key.await?.ok_or(StoreError::Corrupt {
            what: "key of places in lists",
        })
    }

    /// Waits for room for one more write of a tenant. It waits while the disk is slower than the scripts;
    /// the future can be dropped.
    ///
    /// # Errors
    /// [`StoreError::Closed`].
    pub async fn reserve(&self, tenant: &Tenant) -> Result<Room<'_>, StoreError> {
        let place = self.places.turn(tenant).await.ok_or(StoreError::Closed)?;
        let permit = self.orders.reserve().await;
        let permit = permit.map_err(|_| StoreError::Closed)?;
        Ok(Room {
            permit,
            place,
            owner: self.owner,
        })
    }

    /// Records an end with what is kept of it, all or nothing, and waits until it is committed. The
    /// heap that is kept is durable already.
    ///
    /// # Errors
    /// [`StoreError`]: nothing of it is recorded.
    pub async fn end(&self, view: View, keep: Option<Keep>) -> Result<(), StoreError> {
        let tenant = view.tenant.clone();
        let mut execution = view.into_execution(self.owner);
        if let Some(keep) = &keep {
            let session = keep.session.as_ref().map(|name| name.as_str().to_owned());
            execution.session = session;
            execution.input_heap = keep.input_heap.map(|heap| *heap.as_bytes());
        }
        let kept = keep.map(|keep| Box::new(keep.into_kept()));
        let end = Command::End(Box::new(execution), kept);
        self.record_end(&tenant, end).await
    }

    /// Waits until everything before is committed, on behalf of a tenant.
    ///
    /// # Errors
    /// [`StoreError`]: something before is not recorded.
    pub async fn flush(&self, tenant: &Tenant) -> Result<(), StoreError> {
        let place = self.places.turn(tenant).await;
        self.ask(place, Order::Flush).await?;
        Ok(())
    }

    /// Commits what is left, signs off and stops. Nothing can be written or read afterwards.
    ///
    /// # Errors
    /// [`StoreError::Closed`] when it was closed before.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.readers.turns.close();
        self.changes.close();
        self.readers.lock().clear();
        let place = self.places.own_turn().await;
        self.ask(place, Order::Close).await?;
        Ok(())
    }

    /// An execution; `None` when this tenant has no such execution.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn get(&self, tenant: Tenant, id: ExecutionId) -> Result<Option<Stored>, StoreError> {
        let owner = self.owner;
        self.read(tenant, move |connection, tenant| {
            read::get(connection, owner, tenant, id)
        })
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
        self.read(tenant, move |connection, tenant| {
            let snapshot = connection.transaction_with_behavior(TransactionBehavior::Deferred)?;
            page::page(&snapshot, tenant, id, request)
        })
        .await
    }

    /// The executions of a tenant, newest first, at most `limit`, those behind `after`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list(
        &self,
        tenant: Tenant,
        filter: Option<Status>,
        limit: u32,
        after: Option<ExecutionPosition>,
    ) -> Result<Vec<Summary>, StoreError> {
        self.read(tenant, move |connection, tenant| {
            read::list(connection, tenant, filter, limit, after)
        })
        .await
    }

    /// Writes something on behalf of a tenant.
    async fn write(&self, tenant: &Tenant, write: Write) -> Result<Outcome, StoreError> {
        let place = self.places.turn(tenant).await;
        self.ask(place, |waiter| Order::WriteNow(write, waiter))
            .await
    }

    /// The same for the server itself.
    async fn write_own(&self, write: Write) -> Result<Outcome, StoreError> {
        let place = self.places.own_turn().await;
        self.ask(place, |waiter| Order::WriteNow(write, waiter))
            .await
    }

    async fn ask(
        &self,
        place: Option<Member>,
        order: impl FnOnce(Waiter) -> Order,
    ) -> Result<Outcome, StoreError> {
        let (waiter, answer) = oneshot::channel();
        let queued = Queued {
            order: order(waiter),
            _place: Some(place.ok_or(StoreError::Closed)?),
        };
        let sent = self.orders.send(queued).await;
        sent.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Looks for something of a tenant.
    async fn read<T: Send + 'static>(
        &self,
        tenant: Tenant,
        look: impl FnOnce(&mut Connection, &Tenant) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let turn = self.readers.turns.turn(&tenant).await;
        self.looked(turn, move |connection| look(connection, &tenant))
            .await
    }

    /// The same for the server itself.
    async fn read_own<T: Send + 'static>(
        &self,
        look: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let turn = self.readers.turns.own_turn().await;
        self.looked(turn, look).await
    }

    async fn looked<T: Send + 'static>(
        &self,
        turn: Option<Member>,
        look: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let turn = turn.ok_or(StoreError::Closed)?;
        let readers = Arc::clone(&self.readers);
        tokio::task::spawn_blocking(move || {
            // Held until the connection is back, also when nobody waits for the answer any more.
            let _turn = turn;
            let mut connection = readers.lock().pop().ok_or(StoreError::Closed)?;
            let found = look(&mut connection);
            if !readers.turns.is_closed() {
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
    permit: mpsc::Permit<'a, Queued>,
    place: Member,
    owner: RaftId,
}

impl Room<'_> {
    /// Records a new execution with its code; durable within [`limits::WRITER_LINGER`] and a commit. A write that
    /// fails later shows in [`Store::trouble`].
    pub fn accept(self, view: View, code: Arc<String>) {
        let execution = Box::new(view.into_execution(self.owner));
        self.write(Write::Accept(execution, code));
    }

    /// Records that an execution has started.
    pub fn start(self, view: View) {
        let execution = Box::new(view.into_execution(self.owner));
        self.write(Write::Start(execution));
    }

    /// Records output.
    pub fn append(self, chunk: Chunk) {
        self.write(Write::Output(chunk));
    }

    fn write(self, write: Write) {
        self.permit.send(Queued {
            order: Order::Write(write),
            _place: Some(self.place),
        });
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

#[cfg(test)]
#[path = "shares_tests.rs"]
mod shares_tests;
