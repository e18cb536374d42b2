//! Opening a database, and starting the thread that writes.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use jiff::Timestamp;
use rusqlite::Connection;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::error::OpenError;
use super::maintenance::{self, IsAlone};
use super::place::{OwnerLock, Place};
use super::replica::Replica;
use super::write::Rule;
use super::writer::Writer;
use super::{Readers, Retention, Store, StorePlace, schema};
use crate::limits;
use crate::metrics::StoreFigures;
use crate::quota::{Crowd, Sharing};
use crate::raft::ids::RaftId;

/// A database that is up to date, and says that this server uses it.
pub(super) struct Opened {
    place: Place,
    connection: Connection,
    lock: OwnerLock,
    /// Its number among the servers on this database.
    owner: i64,
}

impl Opened {
    pub(super) fn open(place: StorePlace) -> Result<Self, OpenError> {
        let place = Place::prepare(place)?;
        let mut connection = place.open_writer()?;
        schema::migrate(&mut connection)?;
        let lock = place.lock()?;
        connection.execute("INSERT INTO owners (lock_name) VALUES (?1)", [&lock.name])?;
        let owner = connection.last_insert_rowid();
        Ok(Self {
            place,
            connection,
            lock,
            owner,
        })
    }

    /// Each server on a database is a node of its own, by its number.
    pub(super) fn serve_alone(mut self, retention: Retention) -> Result<Store, OpenError> {
        // What would change here, the cluster's log would not know.
        let replica = Replica::new(&self.connection);
        let is_shared = replica.is_in_cluster().map_err(OpenError::Sweep)?;
        if is_shared {
            return Err(OpenError::InCluster);
        }
        let owner = u64::try_from(self.owner).ok();
        let owner = owner.and_then(RaftId::from_u64).ok_or(OpenError::Full)?;
        maintenance::sweep_dead_owners(&mut self.connection, &self.place, owner, Timestamp::now())
            .map_err(OpenError::Sweep)?;
        self.serve(retention, owner, Rule::Alone)
    }

    pub(super) fn serve_in_cluster(
        mut self,
        retention: Retention,
        node: RaftId,
    ) -> Result<Store, OpenError> {
        let own = maintenance::make_own(&mut self.connection, &self.place, &self.lock.name);
        match own.map_err(OpenError::Sweep)? {
            IsAlone(true) => self.serve(retention, node, Rule::Cluster),
            IsAlone(false) => Err(OpenError::InUse),
        }
    }

    fn serve(self, retention: Retention, owner: RaftId, rule: Rule) -> Result<Store, OpenError> {
        let idle: Result<Vec<_>, _> = (0..limits::STORE_READERS)
            .map(|_| self.place.open_reader())
            .collect();
        let readers = Readers {
            turns: Crowd::new(limits::STORE_READERS, Sharing::Alone),
            idle: Mutex::new(idle?),
        };
        let database: Arc<Path> = self.place.database().into();
        let figures = StoreFigures::default();
        // One more for the thread of a cluster's node, which asks for one thing at a time.
        let (orders, receiver) = mpsc::channel(limits::WRITER_QUEUE_LENGTH + 1);
        let (healthy, health) = watch::channel(None);
        let writer = Writer {
            connection: self.connection,
            orders: receiver,
            place: self.place,
            lock: self.lock,
            owner,
            rule,
            retention,
            health: healthy,
            figures: figures.clone(),
        };
        start_thread(writer).map_err(OpenError::Thread)?;
        Ok(Store {
            orders,
            places: Crowd::new(limits::WRITER_QUEUE_LENGTH, Sharing::Alone),
            health,
            readers: Arc::new(readers),
            changes: Crowd::new(limits::CHANGE_UNITS, Sharing::Alone),
            hurry: CancellationToken::new(),
            owner,
            figures,
            database,
            node: Arc::default(),
        })
    }
}

fn start_thread(writer: Writer) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    thread::Builder::new()
        .name("mcp-v8-store".to_owned())
        .spawn(move || runtime.block_on(writer.serve()))?;
    Ok(())
}
