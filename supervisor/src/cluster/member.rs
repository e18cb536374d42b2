//! The life of this server's node: from its disk and what its operator says, over its start, to its end.
//!
//! ```text
//! open    raft.db ─▶ which life ─▶ the session database, as this node's ─▶ the port: who am I
//! start   what others say ─▶ log and state begin, or go on ─▶ the thread ─▶ the port: all of it
//! stop    another one leads ─▶ the thread ends ─▶ nobody is heard any more
//! ```

use std::fs::DirBuilder;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::task::spawn_blocking;

use super::bootstrap::{Disk, Membership};
use super::driver::DriverError;
use super::endpoint::{Endpoint, EndpointError, Parts, Start};
use super::files::{Beginning, Files, FilesError, RAFT_DB_NAME, SNAPSHOTS_NAME};
use super::handle::{Handle, Node, NodeOptions};
use super::heaps::HeapPeers;
use super::hearing::Hearing;
use super::inbox::Inbox;
use super::options::ClusterConfig;
use super::peer::Peer;
use super::phone::{Answers, Phone};
use crate::heaps::Keeper;
use crate::quota::Sharing;
use crate::raft::ids::{ClusterId, Incarnation, RaftId};
use crate::raft::log::{ConfState, Identity, LogDbError, RaftDb};
use crate::raft::state::Members;
use crate::store::{OpenError, Retention, Store, StorePlace};

/// Where a node lives, and what its operator says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeConfig {
    /// What its operator says.
    pub cluster: ClusterConfig,
    /// The directory with its log and the session database.
    pub directory: PathBuf,
}

/// Why a server cannot be a node.
#[derive(Debug, thiserror::Error)]
pub enum MemberError {
    /// The directory cannot be used.
    #[error("the directory {} cannot be used: {source}", .path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] LogDbError),
    /// There is no place for executions.
    #[error("executions cannot be kept: {0}")]
    Store(#[from] OpenError),
    /// The directory is of a node that is called otherwise.
    #[error(
        "the directory {} is another node's: --node-id is {name}, and that is not what this node was \
         called before; give the old name, or an empty directory", .path.display()
    )]
    OtherName {
        /// Which.
        path: PathBuf,
        /// What it is called now.
        name: String,
    },
    /// Its files cannot be used.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// It cannot be heard, or does not come to a cluster.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// It cannot take part.
    #[error(transparent)]
    Node(#[from] DriverError),
    /// The server ends.
    #[error("the server is about to end")]
    Ending,
}

/// A node that has its files, and that others can ask who it is.
#[derive(Debug)]
pub struct Opened {
    config: NodeConfig,
    store: Store,
    files: Files,
    endpoint: Endpoint,
}

/// A node that takes part.
#[derive(Debug)]
pub struct Member {
    node: Node,
    endpoint: Endpoint,
}

impl Opened {
    /// Opens the files of a node, and listens. Within the runtime that serves.
    ///
    /// # Errors
    /// [`MemberError`].
    pub async fn open(config: NodeConfig, retention: Retention) -> Result<Self, MemberError> {
        let looked = config.clone();
        let (me, store, files) = off(move || {
            let me = who(&looked)?;
            let place = StorePlace::Directory(looked.directory.clone());
            let store = Store::open_in_cluster(place, retention, me.id)?;
            let files = Files::open(&looked.directory, store.replication())?;
            Ok((me, store, files))
        })
        .await?;
        let endpoint = Endpoint::open(&config.cluster, me.incarnation)?;
        Ok(Self {
            config,
            store,
            files,
            endpoint,
        })
    }

    /// The database.
    pub fn store(&self) -> Store {
        self.store.clone()
    }

    /// This life of the node.
    pub fn me(&self) -> RaftId {
        self.endpoint.me().id
    }

    /// Where it hears others.
    pub const fn address(&self) -> SocketAddr {
        self.endpoint.address()
    }

    /// What asks other nodes.
    pub fn phone(&self) -> Phone {
        self.endpoint.phone()
    }

    /// Says who shares what may be asked of other nodes at once.
    pub fn share(&self, sharing: Sharing) {
        self.endpoint.share(sharing);
    }

    /// The other nodes, as those that keep heaps of their own too.
    pub fn heap_peers(&self) -> HeapPeers {
        self.endpoint.heap_peers()
    }

    /// Comes to a cluster, for as long as that takes, and takes part from then on. What other nodes ask is
    /// answered by these, and they are given these heaps.
    ///
    /// # Errors
    /// [`MemberError`].
    pub async fn start(
        self,
        answers: Arc<dyn Answers>,
        heaps: Option<Keeper>,
    ) -> Result<Member, MemberError> {
        let Self {
            config,
            store,
            files,
            endpoint,
        } = self;
        let (known, mut files) = off(move || Ok((files.identity()?, files))).await?;
        let disk = if known.is_some() {
            Disk::OfMember
        } else {
            Disk::Empty
        };
        let start = endpoint.begin(&config.cluster, disk).await?;
        let peer = endpoint.me().clone();
        let (me, files, begun) = off(move || {
            let me = begin(&mut files, &peer, start)?;
            let state = files.state().look().map_err(FilesError::from)?;
            Ok((me, files, state.members))
        })
        .await?;
        let transport = endpoint.found(me.cluster, &begun)?;
        let (inbox, options) = (Inbox::new(), NodeOptions::new(me, config.cluster.times));
        let of_node = inbox.clone();
        let node = off(move || Ok(Node::start(files, options, of_node, transport)?)).await?;
        store.replicate_by(Arc::new(node.handle()));
        endpoint.enter(Parts {
            inbox,
            control: Arc::new(node.handle()),
            answers,
            heaps,
            snapshots: config.directory.join(SNAPSHOTS_NAME),
        })?;
        Ok(Member { node, endpoint })
    }
}

impl Member {
    /// What the rest of the server asks of it.
    pub fn handle(&self) -> Handle {
        self.node.handle()
    }

    /// When each other member was last heard.
    pub fn hearing(&self) -> Hearing {
        self.endpoint.hearing()
    }

    /// Has another node lead, ends this one, and hears nobody any more. Its database is closed after that.
    pub async fn stop(self) {
        self.node.handle().hand_over().await;
        let node = self.node;
        // A thread that was lost has ended the process.
        let _ = spawn_blocking(move || node.stop()).await;
        self.endpoint.close().await;
    }
}

/// Which life of the node lives in this directory.
fn who(config: &NodeConfig) -> Result<Peer, MemberError> {
    let NodeConfig { cluster, directory } = config;
    let made = DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory);
    made.map_err(|source| MemberError::Directory {
        path: directory.clone(),
        source,
    })?;
    let (incarnation, known) = look(directory)?;
    let me = Peer::new(cluster.name.clone(), incarnation, cluster.advertise.clone());
    if known.is_some_and(|known| known.id != me.id) {
        return Err(MemberError::OtherName {
            path: directory.clone(),
            name: cluster.name.to_string(),
        });
    }
    Ok(me)
}

fn look(directory: &Path) -> Result<(Incarnation, Option<Identity>), LogDbError> {
    let mut raft = RaftDb::open(&directory.join(RAFT_DB_NAME))?;
    Ok((raft.incarnation()?, raft.identity()?))
}

/// Begins the life of a node, or goes on with it: who it is in its cluster.
fn begin(files: &mut Files, peer: &Peer, start: Start) -> Result<Identity, FilesError> {
    let in_cluster = |cluster: ClusterId| Identity {
        cluster,
        id: peer.id,
        incarnation: peer.incarnation,
    };
    match start {
        Start::First(first) => {
            let me = in_cluster(first.cluster);
            files.begin(me, together(first))?;
            Ok(me)
        }
        Start::Await(found) => {
            let me = in_cluster(found.cluster);
            files.begin(me, Beginning::Later)?;
            Ok(me)
        }
        Start::ResumeAlone => files.resume_alone(),
        Start::Resume => files.resume(),
    }
}

/// All first members vote.
fn together(first: Membership) -> Beginning {
    let mut present = first.members;
    present.sort_by_key(|member| member.id);
    let voters = present.iter().map(|member| member.id.get()).collect();
    Beginning::First {
        conf: ConfState {
            voters,
            ..ConfState::default()
        },
        members: Members {
            present,
            removed: Vec::new(),
        },
    }
}

/// Works with files where that delays nobody.
async fn off<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, MemberError> + Send + 'static,
) -> Result<T, MemberError> {
    spawn_blocking(work)
        .await
        .map_err(|_| MemberError::Ending)?
}
