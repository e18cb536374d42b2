//! Where this node is heard by others: from its start, before it is in a cluster, until its end.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::join_all;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::bootstrap::{self, Contradiction, Decision, Disk, Found, Heard, Membership};
use super::control::ClusterControl;
use super::desk::{Desk, Node};
use super::heaps::{Counter, HeapPeers};
use super::hearing::Hearing;
use super::inbox::Inbox;
use super::link::Parcel;
use super::listener::Listener;
use super::name::{Address, Listed};
use super::options::{Begin, ClusterConfig};
use super::outbox::Outbox;
use super::peer::Peer;
use super::phone::{Answers, Phone};
use super::questions::{self, QuestionError};
use super::snapshot::shelf::Shelf;
use super::trust::{Credentials, TrustError};
use crate::heaps::Keeper;
use crate::limits::{FOUNDING_PAUSE, FOUNDING_WORD_PAUSE};
use crate::metrics::{SnapshotTravel, TransportFigures};
use crate::quota::Sharing;
use crate::raft::core::{Event, TurnedAway};
use crate::raft::ids::{ClusterId, Incarnation, RaftId};
use crate::raft::packet::Packet;
use crate::raft::state::Members;
use crate::store::snapshot::Manifest;

/// Why a node cannot be heard, or come to a cluster.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// The address is taken, or not this machine's.
    #[error("cannot hear other nodes on {address}: {problem}")]
    Address {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        problem: io::Error,
    },
    /// It cannot show who it is, or see who others are.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// What its operator and others say cannot be.
    #[error(transparent)]
    Contradiction(#[from] Contradiction),
    /// It is not let in.
    #[error("the node at {address} does not let this one join: {problem}")]
    NotLetIn {
        /// Where it asked.
        address: Address,
        /// What was said.
        problem: QuestionError,
    },
    /// The directory for snapshots cannot be used.
    #[error("snapshots cannot be kept: {0}")]
    Snapshots(io::Error),
    /// It is in a cluster already.
    #[error("this node is in a cluster already")]
    Twice,
}

/// How a node begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// Where its disk ends.
    Resume,
    /// There, as the only member of a new cluster.
    ResumeAlone,
    /// As one of the first members of a cluster.
    First(Membership),
    /// As a member that has nothing yet.
    Await(Membership),
}

/// Where other nodes reach this one.
#[derive(Debug)]
pub struct Endpoint {
    desk: Arc<Desk>,
    address: SocketAddr,
    task: JoinHandle<()>,
    close: CancellationToken,
    _renewal: DropGuard,
}

/// What a node is to the others, once it is in a cluster.
pub struct Parts {
    /// Where what comes is left.
    pub inbox: Inbox,
    /// Who answers for it.
    pub control: Arc<dyn ClusterControl>,
    /// Who answers what other members ask.
    pub answers: Arc<dyn Answers>,
    /// The heaps of this node, where each has its own.
    pub heaps: Option<Keeper>,
    /// The directory for snapshots of others.
    pub snapshots: PathBuf,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").finish_non_exhaustive()
    }
}

impl Endpoint {
    /// Listens, and says who this node is to whoever asks and may. Within the runtime that serves.
    ///
    /// # Errors
    /// [`EndpointError`].
    pub fn open(config: &ClusterConfig, incarnation: Incarnation) -> Result<Self, EndpointError> {
        let me = Peer::new(config.name.clone(), incarnation, config.advertise.clone());
        let credentials = Credentials::open(&config.trust, &config.name)?;
        let address = config.listen;
        let listener = Listener::bind(address)
            .map_err(|problem| EndpointError::Address { address, problem })?;
        let address = listener.address();
        let desk = Arc::new(Desk::new(me, credentials, config.is_status_public));
        let close = CancellationToken::new();
        let task = tokio::spawn(listener.serve(Arc::clone(&desk), close.clone()));
        let renewal = CancellationToken::new();
        let renewing = renewal.clone();
        let of = Arc::clone(&desk);
        tokio::spawn(async move {
            if let Credentials::Tls(store) = &of.local.credentials {
                renewing.run_until_cancelled(store.renew()).await;
            }
        });
        Ok(Self {
            desk,
            address,
            task,
            close,
            _renewal: renewal.drop_guard(),
        })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// This life of the node.
    pub fn me(&self) -> &Peer {
        &self.desk.local.me
    }

    /// Asks other members, once this node is in a cluster.
    pub fn phone(&self) -> Phone {
        Phone::new(Arc::clone(&self.desk))
    }

    /// The others, as those that keep heaps too, once this node is in a cluster.
    pub fn heap_peers(&self) -> HeapPeers {
        HeapPeers::new(Arc::clone(&self.desk))
    }

    /// Says who shares what may be asked of others at once.
    pub fn share(&self, sharing: Sharing) {
        self.desk.lines.share(sharing);
    }

    /// Comes to a cluster: asks others, and waits for them, for as long as it takes.
    ///
    /// # Errors
    /// [`EndpointError`] when no waiting would help.
    pub async fn begin(&self, config: &ClusterConfig, disk: Disk) -> Result<Start, EndpointError> {
        let mut told: Option<Instant> = None;
        let mut tell = |word: String| {
            if told.is_none_or(|told| told.elapsed() >= FOUNDING_WORD_PAUSE) {
                tracing::info!("coming to a cluster: {word}");
                told = Some(Instant::now());
            }
        };
        let mut before: Option<Membership> = None;
        loop {
            let answers = self.look(&config.begin, disk).await;
            let said = (&config.begin, config.forces_new);
            let heard = Heard {
                answers: &answers,
                before: before.as_ref(),
            };
            match bootstrap::decide(self.me(), disk, said, heard) {
                Decision::Resume => {
                    if config.begin != Begin::Alone {
                        tracing::info!(
                            "this node has been in a cluster: --peers and --join have no effect"
                        );
                    }
                    return Ok(Start::Resume);
                }
                Decision::ResumeAlone => return Ok(Start::ResumeAlone),
                Decision::First(first) => return Ok(Start::First(first)),
                Decision::Await(found) => return Ok(Start::Await(found)),
                Decision::Refuse(contradiction) => return Err(contradiction.into()),
                Decision::Wait { why, proposal } => {
                    self.desk
                        .propose(proposal.as_ref().map(|first| first.cluster));
                    before = proposal;
                    tell(why.to_string());
                }
                Decision::Join(seed) => match self.join(&seed, &config.begin).await {
                    Ok(found) => return Ok(Start::Await(found)),
                    Err(problem) if problem.is_final() => {
                        let address = seed;
                        return Err(EndpointError::NotLetIn { address, problem });
                    }
                    Err(problem) => tell(format!("{seed}: {problem}")),
                },
            }
            sleep(FOUNDING_PAUSE).await;
        }
    }

    async fn look(&self, begin: &Begin, disk: Disk) -> Vec<(Listed, Option<Found>)> {
        let (Begin::With(listed), Disk::Empty) = (begin, disk) else {
            return Vec::new();
        };
        let asked = listed.iter().map(async |one| {
            let found = questions::hello(&self.desk.local, &one.address).await;
            if let Err(problem) = &found {
                tracing::debug!(node = %one, %problem, "a node does not answer");
            }
            (one.clone(), found.ok())
        });
        join_all(asked).await
    }

    async fn join(&self, seed: &Address, begin: &Begin) -> Result<Membership, QuestionError> {
        let as_learner = matches!(
            begin,
            Begin::Join {
                as_learner: true,
                ..
            }
        );
        let (cluster, members) = questions::join(&self.desk.local, seed, as_learner).await?;
        Ok(Membership { cluster, members })
    }

    /// Is of this cluster from now on, and carries what its node says. Others are told to come again until
    /// it has entered.
    ///
    /// # Errors
    /// [`EndpointError::Twice`].
    pub fn found(&self, cluster: ClusterId, members: &Members) -> Result<Transport, EndpointError> {
        self.desk.roster.set_members(members);
        let own = &self.desk.local.cluster;
        own.set(cluster).map_err(|_| EndpointError::Twice)?;
        let (hearing, close) = (self.hearing(), self.close.clone());
        tokio::spawn(async move { close.run_until_cancelled(hearing.keep_time()).await });
        Ok(Transport {
            desk: Arc::clone(&self.desk),
            runtime: Handle::current(),
        })
    }

    /// Others may speak to the node from now on.
    ///
    /// # Errors
    /// [`EndpointError::Snapshots`]; [`EndpointError::Twice`].
    pub fn enter(&self, parts: Parts) -> Result<(), EndpointError> {
        let shelf = Shelf::open(parts.snapshots).map_err(EndpointError::Snapshots)?;
        let node = Node {
            inbox: parts.inbox,
            control: parts.control,
            answers: parts.answers,
            heaps: parts.heaps.map(|heaps| Arc::new(Counter::new(heaps))),
            shelf: Arc::new(shelf),
        };
        let entered = self.desk.node.set(node);
        entered.map_err(|_| EndpointError::Twice)
    }

    /// When each member was last heard.
    pub fn hearing(&self) -> Hearing {
        Hearing(Arc::clone(&self.desk))
    }

    /// Hears nobody any more, and cuts all connections.
    pub async fn close(self) {
        self.close.cancel();
        self.desk.links.close();
        self.desk.lines.close();
        let _ = self.task.await;
    }
}

/// Carries what a node says to others.
#[derive(Debug)]
pub struct Transport {
    desk: Arc<Desk>,
    runtime: Handle,
}

#[cfg(test)]
impl Transport {
    /// What this node says of itself.
    pub(super) fn local(&self) -> Arc<super::local::Local> {
        Arc::clone(&self.desk.local)
    }
}

impl Outbox for Transport {
    fn send(&mut self, packet: Packet) {
        let to = packet.to;
        if !self.desk.links.send(&self.desk, &self.runtime, packet) {
            self.desk.tell(Event::Unreachable(to));
        }
    }

    fn send_snapshot(&mut self, packet: Packet, file: PathBuf) {
        let to = packet.to;
        let manifest = packet.manifest().map(Manifest::from_bytes);
        let is_on_its_way = match (manifest, File::open(&file)) {
            (Some(Ok(manifest)), Ok(file)) => {
                let parcel = Parcel {
                    packet,
                    manifest,
                    file,
                };
                self.desk
                    .links
                    .send_snapshot(&self.desk, &self.runtime, parcel)
            }
            (_, Err(error)) => {
                tracing::error!(%error, "a snapshot cannot be read");
                false
            }
            _ => false,
        };
        if !is_on_its_way {
            let unsent = SnapshotTravel::Unsent;
            self.desk.figures.snapshots.of(unsent).inc();
            let is_there = false;
            self.desk.tell(Event::SnapshotSent { to, is_there });
        }
    }

    fn members(&mut self, members: &Members) {
        self.desk.roster.set_members(members);
        self.desk.links.keep(members);
    }

    fn figures(&self) -> TransportFigures {
        self.desk.figures.clone()
    }

    fn turn_away(&mut self, to: RaftId, why: TurnedAway) {
        self.desk.roster.turn_away(to, why);
    }
}

impl Drop for Transport {
    fn drop(&mut self) {
        self.desk.links.close();
    }
}
