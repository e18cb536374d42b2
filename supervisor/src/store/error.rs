//! What can go wrong in the store.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::raft::core::Failure;

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory cannot be used.
    #[error("the directory {} cannot be used: {source}", .path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no room for a temporary one.
    #[error("no temporary directory can be made: {0}; TMPDIR says where they go")]
    Temporary(io::Error),
    /// Another program holds this server's lock.
    #[error("the lock file {} cannot be used: {source}", .path.display())]
    Lock {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A newer program has written it.
    #[error(
        "the database was written by a newer version of this program (its format is {found}, this \
         one knows up to {newest}); use that version, or another directory"
    )]
    Newer {
        /// Its format.
        found: i64,
        /// The newest format known here.
        newest: usize,
    },
    /// SQLite refuses it.
    #[error("the database cannot be opened: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The database is a node's, and its cluster would not hear of what changes.
    #[error(
        "the database belongs to a node of a cluster; start it with --cluster-port, or use another \
         directory"
    )]
    InCluster,
    /// A node of a cluster has its database for itself.
    #[error("another server uses the database; a node of a cluster needs a directory of its own")]
    InUse,
    /// It has no number left for a server.
    #[error("the database has no number left for this server; use another directory")]
    Full,
    /// What dead servers have left cannot be ended.
    #[error("what other servers have left in the database cannot be ended: {0}")]
    Sweep(StoreError),
    /// A thread cannot be started.
    #[error("the thread that writes cannot be started: {0}")]
    Thread(io::Error),
}

/// Why something was not written or read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// SQLite said so.
    #[error("{0}")]
    Sqlite(Arc<rusqlite::Error>),
    /// A part of an output is missing, because it could not be written when it came.
    #[error("a part of the output is missing, because it could not be written when it came")]
    Gap,
    /// A row that this program cannot have written.
    #[error("the database holds a {what} that this program does not know")]
    Corrupt {
        /// What it is.
        what: &'static str,
    },
    /// A change of what a cluster shares came past its log.
    #[error("what the nodes of a cluster share changes by its log alone")]
    Shared,
    /// The cluster has not made a change, or does not say.
    #[error(transparent)]
    Cluster(#[from] Failure),
    /// The other nodes have taken this one for dead, and say how its execution ended.
    #[error("the other nodes of the cluster took this one for dead, and recorded another end")]
    EndedByOthers,
    /// The store is closed.
    #[error("the store is closed, because the server is shutting down")]
    Closed,
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(Arc::new(error))
    }
}
