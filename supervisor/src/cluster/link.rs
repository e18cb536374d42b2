//! The ways to other nodes: three to each, so that nothing large delays a sign of life.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{Method, StatusCode};
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::batch;
use super::desk::Desk;
use super::line::{Line, Question, Target};
use super::queue::Queue;
use super::routes::{self, PACKETS};
use super::snapshot::sender;
use crate::limits::{
    BULK_WAIT_MAX, CONTROL_WAIT_MAX, LINKS_MAX, PEER_BYTES_PER_SEC_MIN, PEER_PAUSE_MAX,
    PEER_PAUSE_MIN,
};
use crate::metrics::{SnapshotTravel, Way as Figured};
use crate::raft::core::Event;
use crate::raft::ids::RaftId;
use crate::raft::packet::{Lane, Packet};
use crate::raft::state::Members;
use crate::store::snapshot::Manifest;

/// The ways to all others.
#[derive(Debug, Default)]
pub(super) struct Links(Mutex<BTreeMap<RaftId, Arc<Link>>>);

/// The ways to one.
#[derive(Debug)]
struct Link {
    control: Way,
    bulk: Way,
    snapshots: mpsc::Sender<Parcel>,
    /// It has said something: so it can be reached again, perhaps.
    heard: Notify,
    close: CancellationToken,
}

#[derive(Debug)]
struct Way {
    queue: Mutex<Queue>,
    came: Notify,
}

/// A snapshot for somebody.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) packet: Packet,
    pub(super) manifest: Manifest,
    pub(super) file: File,
}

impl Links {
    /// A node has said something.
    pub(super) fn heard(&self, id: RaftId) {
        if let Some(link) = self.all().get(&id) {
            link.heard.notify_waiters();
        }
    }

    /// Puts a packet on its way; `false` when there is no room for it.
    pub(super) fn send(&self, desk: &Arc<Desk>, runtime: &Handle, packet: Packet) -> bool {
        let Some(link) = self.link(desk, runtime, packet.to) else {
            return false;
        };
        let way = match packet.lane() {
            Lane::Control => &link.control,
            Lane::Bulk => &link.bulk,
            // Its file is missing.
            Lane::Snapshot => return false,
        };
        let lane = packet.lane();
        let is_kept = way.lock().push(packet).is_ok();
        way.came.notify_one();
        if !is_kept {
            desk.figures.dropped.of(way_of(lane)).inc();
        }
        is_kept
    }

    /// Puts a snapshot on its way; `false` while another one is.
    pub(super) fn send_snapshot(&self, desk: &Arc<Desk>, runtime: &Handle, parcel: Parcel) -> bool {
        let link = self.link(desk, runtime, parcel.packet.to);
        link.is_some_and(|link| link.snapshots.try_send(parcel).is_ok())
    }

    /// Has room for these members, whoever else there was.
    pub(super) fn keep(&self, members: &Members) {
        let mut all = self.all();
        if all.len() >= LINKS_MAX {
            all.retain(|id, link| {
                let stays = members.get(*id).is_some();
                if !stays {
                    link.close.cancel();
                }
                stays
            });
        }
    }

    /// Ends all ways.
    pub(super) fn close(&self) {
        for link in std::mem::take(&mut *self.all()).into_values() {
            link.close.cancel();
        }
    }

    fn link(&self, desk: &Arc<Desk>, runtime: &Handle, id: RaftId) -> Option<Arc<Link>> {
        let mut all = self.all();
        if let Some(link) = all.get(&id) {
            return Some(Arc::clone(link));
        }
        if all.len() >= LINKS_MAX {
            return None;
        }
        let (snapshots, parcels) = mpsc::channel(1);
        let way = |queue| Way {
            queue: Mutex::new(queue),
            came: Notify::new(),
        };
        let link = Arc::new(Link {
            control: way(Queue::control()),
            bulk: way(Queue::bulk()),
            snapshots,
            heard: Notify::new(),
            close: CancellationToken::new(),
        });
        all.insert(id, Arc::clone(&link));
        for lane in [Lane::Control, Lane::Bulk] {
            let carrier = Carrier {
                desk: Arc::clone(desk),
                link: Arc::clone(&link),
                id,
                lane,
            };
            let close = link.close.clone();
            runtime.spawn(async move { close.run_until_cancelled(carrier.run()).await });
        }
        let (desk, close) = (Arc::clone(desk), link.close.clone());
        runtime.spawn(async move {
            close
                .run_until_cancelled(carry_snapshots(desk, id, parcels))
                .await
        });
        Some(link)
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<RaftId, Arc<Link>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Way {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What goes into the next request, as soon as there is something.
    async fn next(&self) -> Vec<Packet> {
        loop {
            let came = self.came.notified();
            let packets = self.lock().take();
            if !packets.is_empty() {
                return packets;
            }
            came.await;
        }
    }
}

/// Carries what waits on one way, a request after the other.
struct Carrier {
    desk: Arc<Desk>,
    link: Arc<Link>,
    id: RaftId,
    lane: Lane,
}

impl Carrier {
    async fn run(self) {
        let way = match self.lane {
            Lane::Bulk => &self.link.bulk,
            _ => &self.link.control,
        };
        let mut line = None;
        let mut pause = PEER_PAUSE_MIN;
        let mut is_well = true;
        loop {
            let packets = way.next().await;
            match self.deliver(&mut line, &packets).await {
                Ok(()) => {
                    if !is_well {
                        tracing::info!(node = %self.id, "a node can be reached again");
                    }
                    (pause, is_well) = (PEER_PAUSE_MIN, true);
                }
                Err(problem) => {
                    if is_well {
                        tracing::warn!(node = %self.id, problem, "a node cannot be reached");
                    }
                    is_well = false;
                    // What follows what is lost is of no use.
                    let lost = packets.len() + way.lock().clear();
                    let dropped = &self.desk.figures.dropped;
                    dropped.of(way_of(self.lane)).inc_by(lost as u64);
                    self.desk.tell(Event::Unreachable(self.id));
                    let heard = self.link.heard.notified();
                    tokio::select! {
                        () = sleep(pause) => {}
                        () = heard => {}
                    }
                    pause = (pause * 2).min(PEER_PAUSE_MAX);
                }
            }
        }
    }

    async fn deliver(&self, line: &mut Option<Line>, packets: &[Packet]) -> Result<(), String> {
        let target = self
            .desk
            .target(self.id)
            .ok_or("its address is not known")?;
        let line = self.desk.line(line, target);
        let (body, lost) = batch::encode(packets);
        if lost > 0 {
            tracing::error!(node = %self.id, lost, "packets are too large to be sent");
        }
        let patience = match self.lane {
            Lane::Bulk => BULK_WAIT_MAX + time_for(body.len()),
            _ => CONTROL_WAIT_MAX,
        };
        let bytes = body.len();
        let question = Question {
            method: Method::POST,
            path: PACKETS,
            body: body.into(),
            patience,
        };
        let answer = line
            .ask(&question)
            .await
            .map_err(|error| error.to_string())?;
        match answer.status {
            StatusCode::NO_CONTENT if lost == 0 => {
                let (figures, way) = (&self.desk.figures, way_of(self.lane));
                figures.sent.of(way).inc_by(packets.len() as u64);
                figures.sent_bytes.of(way).inc_by(bytes as u64);
                Ok(())
            }
            StatusCode::NO_CONTENT => Err("packets are too large to be sent".to_owned()),
            StatusCode::GONE => {
                self.desk.tell(Event::ToldRemoved);
                Err("it says that this node was removed".to_owned())
            }
            status => Err(format!(
                "{} ({status})",
                routes::shapes::problem(&answer.body)
            )),
        }
    }
}

/// The way as it is counted.
pub(super) const fn way_of(lane: Lane) -> Figured {
    match lane {
        Lane::Control => Figured::Control,
        Lane::Bulk => Figured::Bulk,
        Lane::Snapshot => Figured::Snapshot,
    }
}

/// What so many bytes take on a slow network.
pub(super) fn time_for(bytes: usize) -> Duration {
    Duration::from_millis(bytes as u64 * 1000 / PEER_BYTES_PER_SEC_MIN)
}

async fn carry_snapshots(desk: Arc<Desk>, to: RaftId, mut parcels: mpsc::Receiver<Parcel>) {
    while let Some(parcel) = parcels.recv().await {
        let sent = sender::send(&desk, parcel).await;
        if let Err(problem) = &sent {
            tracing::warn!(node = %to, %problem, "a snapshot could not be sent");
        }
        let is_there = sent.is_ok();
        let travel = if is_there {
            SnapshotTravel::Sent
        } else {
            SnapshotTravel::Unsent
        };
        desk.figures.snapshots.of(travel).inc();
        desk.tell(Event::SnapshotSent { to, is_there });
    }
}

impl Desk {
    /// Where a node is, as far as is known.
    pub(super) fn target(&self, id: RaftId) -> Option<Target> {
        let (address, name) = self.roster.find(id)?;
        Some(Target {
            address,
            name: Some(name),
            id: Some(id),
        })
    }

    /// The connection to a node, which may have moved.
    pub(super) fn line<'a>(&self, line: &'a mut Option<Line>, target: Target) -> &'a mut Line {
        if line.as_ref().is_some_and(|line| *line.target() != target) {
            *line = None;
        }
        line.get_or_insert_with(|| Line::new(Arc::clone(&self.local), target))
    }

    /// Tells the node what has happened, where it has room for that. It has, of a snapshot, until it ends.
    pub(super) fn tell(&self, event: Event) {
        if let Some(node) = self.node.get()
            && node.inbox.offer(event).is_err()
        {
            tracing::debug!("the node has no room to hear what happened to a packet");
        }
    }
}
