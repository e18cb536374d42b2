//! Nodes in one process, and the network between them.

use std::collections::HashMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::Connection;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::cluster::Status;
use crate::cluster::driver::Kept;
use crate::cluster::files::{Beginning, Files, SNAPSHOTS_NAME};
use crate::cluster::handle::{Handle, Node, NodeOptions};
use crate::cluster::inbox::Inbox;
use crate::cluster::outbox::Outbox;
use crate::cluster::snapshot::shelf::Shelf;
use crate::cluster::times::Times;
use crate::raft::codec;
use crate::raft::command::{Command, Outcome};
use crate::raft::core::{Event, Failure, TurnedAway};
use crate::raft::ids::{ClusterId, Incarnation, RaftId};
use crate::raft::log::{ConfState, Identity};
use crate::raft::packet::{Body, Packet};
use crate::raft::request::{Ask, Member};
use crate::raft::state::{Members, MemoryState};
use crate::store::snapshot::Manifest;
use crate::store::{Retention, Store, StorePlace, read_back};

/// Nothing here takes so long unless it never comes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Who can be reached, and where its snapshots go.
#[derive(Debug, Clone, Default)]
struct Net(Arc<Mutex<HashMap<RaftId, (Inbox, PathBuf)>>>);

impl Net {
    fn find(&self, id: RaftId) -> Option<(Inbox, PathBuf)> {
        self.0.lock().unwrap().get(&id).cloned()
    }

    fn deliver(&self, packet: &Packet) -> bool {
        let bytes = codec::encode(packet).unwrap();
        let packet = codec::decode(&bytes).unwrap();
        let to = self.find(packet.to);
        to.is_some_and(|(inbox, _)| inbox.offer(Event::Packet(packet)).is_ok())
    }
}

struct Wires {
    net: Net,
    inbox: Inbox,
    told: Arc<Mutex<Members>>,
}

impl Outbox for Wires {
    fn send(&mut self, packet: Packet) {
        if !self.net.deliver(&packet) {
            let _ = self.inbox.offer(Event::Unreachable(packet.to));
        }
    }

    fn send_snapshot(&mut self, packet: Packet, file: PathBuf) {
        let (net, inbox) = (self.net.clone(), self.inbox.clone());
        std::thread::spawn(move || {
            let to = packet.to;
            let is_there = carry(&net, &packet, file).is_some();
            let _ = inbox.offer(Event::SnapshotSent { to, is_there });
        });
    }

    fn members(&mut self, members: &Members) {
        self.told.lock().unwrap().clone_from(members);
    }

    fn turn_away(&mut self, to: RaftId, why: TurnedAway) {
        if let (TurnedAway::Removed, Some((inbox, _))) = (why, self.net.find(to)) {
            let _ = inbox.offer(Event::ToldRemoved);
        }
    }
}

/// What a receiver does: the file first, verified, then the packet.
fn carry(net: &Net, packet: &Packet, file: PathBuf) -> Option<()> {
    let Body::Raft(message) = &packet.body else {
        return None;
    };
    let manifest = Manifest::from_bytes(&message.get_snapshot().data).ok()?;
    let (_, directory) = net.find(packet.to)?;
    let shelf = Shelf::open(directory).ok()?;
    let content = std::fs::read(file).ok()?;
    let next = shelf.offer(packet.from, manifest).ok()?;
    let rest = content.get(usize::try_from(next).ok()?..)?;
    if !rest.is_empty() {
        shelf.add(packet.from, (manifest.sha256, next), rest).ok()?;
    }
    shelf.finish(packet.from, manifest).ok()?;
    net.deliver(packet).then_some(())
}

/// A node's place, with or without a node in it.
pub(super) struct Slot {
    pub(super) me: Identity,
    pub(super) member: Member,
    place: TempDir,
    pub(super) told: Arc<Mutex<Members>>,
    running: Option<(Store, Node)>,
}

pub(super) struct World {
    net: Net,
    kept: Kept,
    pub(super) slots: Vec<Slot>,
    pub(super) runtime: Runtime,
}

impl World {
    /// The first members of a cluster, which all run.
    pub(super) fn new(count: usize, kept: u64) -> Self {
        let members: Vec<Member> = (0..count).map(member).collect();
        let ids: Vec<RaftId> = members.iter().map(|member| member.id).collect();
        let mut world = Self {
            net: Net::default(),
            kept: Kept {
                entries: kept,
                bytes: 64 << 20,
            },
            slots: Vec::new(),
            runtime: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()
                .unwrap(),
        };
        let cluster = ClusterId::of("test", &ids);
        for one in &members {
            world.add(cluster, one.clone());
        }
        let mut conf = ConfState::default();
        conf.set_voters(ids.iter().map(|id| id.get()).collect());
        conf.mut_voters().sort_unstable();
        for at in 0..count {
            let members = Members {
                present: members.clone(),
                removed: Vec::new(),
            };
            let conf = conf.clone();
            world.begin(at, Beginning::First { members, conf });
        }
        world
    }

    pub(super) fn add(&mut self, cluster: ClusterId, member: Member) -> usize {
        self.slots.push(Slot {
            me: Identity {
                cluster,
                id: member.id,
                incarnation: member.incarnation,
            },
            member,
            place: tempfile::tempdir().unwrap(),
            told: Arc::default(),
            running: None,
        });
        self.slots.len() - 1
    }

    pub(super) fn open(&self, at: usize) -> (Store, Files) {
        let slot = &self.slots[at];
        let place = StorePlace::Directory(slot.place.path().to_owned());
        let store = Store::open_in_cluster(place, Retention::default(), slot.me.id).unwrap();
        let files = Files::open(slot.place.path(), store.replication()).unwrap();
        (store, files)
    }

    pub(super) fn begin(&mut self, at: usize, beginning: Beginning) {
        let (store, mut files) = self.open(at);
        files.begin(self.slots[at].me, beginning).unwrap();
        self.run(at, store, files);
    }

    /// The same on a disk that has little room for the log until the node opens it again.
    pub(super) fn restart_with_little_room(&mut self, at: usize) {
        let (store, files) = self.open(at);
        files.bound_log(20);
        self.run(at, store, files);
    }

    /// Goes on with the files of one node, without the others.
    pub(super) fn go_on_alone(&mut self, at: usize) {
        let (store, mut files) = self.open(at);
        self.slots[at].me = files.resume_alone().unwrap();
        self.run(at, store, files);
    }

    /// Begins again from the files.
    pub(super) fn restart(&mut self, at: usize) {
        let (store, files) = self.open(at);
        assert_eq!(files.identity().unwrap(), Some(self.slots[at].me));
        self.run(at, store, files);
    }

    fn run(&mut self, at: usize, store: Store, files: Files) {
        let slot = &mut self.slots[at];
        let inbox = Inbox::new();
        let wires = Wires {
            net: self.net.clone(),
            inbox: inbox.clone(),
            told: Arc::clone(&slot.told),
        };
        let mut options = NodeOptions::new(slot.me, times());
        options.kept = self.kept;
        let snapshots = slot.place.path().join(SNAPSHOTS_NAME);
        let reached = (inbox.clone(), snapshots);
        self.net.0.lock().unwrap().insert(slot.me.id, reached);
        let node = Node::start(files, options, inbox, wires).unwrap();
        slot.running = Some((store, node));
    }

    /// Ends a node where it stands.
    pub(super) fn kill(&mut self, at: usize) {
        let slot = &mut self.slots[at];
        self.net.0.lock().unwrap().remove(&slot.me.id);
        let (store, node) = slot.running.take().unwrap();
        node.stop();
        self.runtime.block_on(store.close()).unwrap();
    }

    pub(super) fn handle(&self, at: usize) -> Handle {
        self.slots[at].running.as_ref().unwrap().1.handle()
    }

    pub(super) fn store(&self, at: usize) -> &Store {
        &self.slots[at].running.as_ref().unwrap().0
    }

    pub(super) fn running(&self) -> Vec<usize> {
        let all = self.slots.iter().enumerate();
        let running = all.filter(|(_, slot)| slot.running.is_some());
        running.map(|(at, _)| at).collect()
    }

    pub(super) fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        let waited = self
            .runtime
            .block_on(async { timeout(PATIENCE, future).await });
        waited.expect("it comes in time")
    }

    /// Waits until a node sees its cluster so.
    pub(super) fn until(&self, at: usize, is_so: impl Fn(&Status) -> bool) -> Status {
        let mut status = self.handle(at).watch();
        let seen = self.wait(async {
            status
                .wait_for(|now| is_so(now))
                .await
                .map(|now| now.clone())
        });
        seen.unwrap()
    }

    /// Waits until somebody leads whom all that run follow.
    pub(super) fn leader(&self) -> usize {
        let running = self.running();
        loop {
            let first = self.until(running[0], |now| now.leader.is_some());
            let same = |now: &Status| now.leader == first.leader;
            let found = running
                .iter()
                .find(|at| Some(self.slots[**at].me.id) == first.leader);
            let Some(found) = found else {
                self.until(running[0], |now| !same(now));
                continue;
            };
            let is_later = |now: &Status| now.term > first.term;
            let seen = running
                .iter()
                .map(|at| self.until(*at, |now| same(now) || is_later(now)));
            if seen.collect::<Vec<_>>().iter().all(same) {
                return *found;
            }
        }
    }

    /// Has a node make a change until that is certain.
    pub(super) fn propose(&self, at: usize, command: &Command) -> Outcome {
        let handle = self.handle(at);
        let bytes = crate::raft::command::encode(command).unwrap();
        let request = handle.request(Ask::Command(bytes.into())).unwrap();
        loop {
            match self.wait(handle.ask(request.clone())) {
                Ok(outcome) => return outcome,
                Err(Failure::Unknown | Failure::Overloaded) => {}
                Err(other) => panic!("{other}"),
            }
        }
    }

    pub(super) fn barrier(&self, at: usize) {
        let handle = self.handle(at);
        while let Err(failure) = self.wait(handle.read_barrier()) {
            assert_eq!(failure, Failure::Unknown);
        }
    }

    fn state(&self, at: usize) -> MemoryState {
        let database = self.slots[at].place.path().join("executions.db");
        read_back(&Connection::open(database).unwrap())
    }

    /// Waits until all that run have the same, and compares it.
    pub(super) fn agree(&self) {
        let running = self.running();
        let leader = self.leader();
        self.barrier(leader);
        let applied = self.handle(leader).status().applied;
        for at in &running {
            self.until(*at, |now| now.applied >= applied);
        }
        let expected = self.state(leader);
        for at in running {
            assert_eq!(self.state(at), expected, "node {at}");
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            for at in self.running() {
                self.kill(at);
            }
        }
    }
}

pub(super) fn times() -> Times {
    // Slow machines run many tests at once.
    Times {
        heartbeat: Duration::from_millis(50),
        election_min: Duration::from_millis(300),
        election_max: Duration::from_millis(600),
    }
}

pub(super) fn member(number: usize) -> Member {
    let name = format!("n{number}");
    let incarnation = Incarnation([u8::try_from(number).unwrap(); 16]);
    Member {
        id: RaftId::of(&name, incarnation),
        address: format!("{name}:1"),
        name,
        incarnation,
        is_learner_for_good: false,
    }
}
