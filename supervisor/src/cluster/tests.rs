//! Nodes in one process, over real files and a network in memory: they elect, die, come back, join, and
//! agree.

use std::collections::HashMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::Connection;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use super::driver::Kept;
use super::files::{Beginning, Files, SNAPSHOTS_NAME};
use super::handle::{Handle, Node, NodeOptions};
use super::inbox::Inbox;
use super::outbox::Outbox;
use super::times::Times;
use super::{Role, Standing, Status};
use crate::raft::codec;
use crate::raft::command::{Command, Outcome, Retag, TagChange};
use crate::raft::core::{Event, Failure, Stop, TurnedAway};
use crate::raft::ids::{ClusterId, Incarnation, RaftId};
use crate::raft::log::{ConfState, Identity};
use crate::raft::packet::{Body, Packet};
use crate::raft::request::{Ask, Member, MemberChange, Refusal};
use crate::raft::state::{Members, MemoryState};
use crate::store::snapshot::{self, Manifest};
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
    let part = directory.join(format!("{}.part", manifest.file_name()));
    std::fs::copy(file, &part).ok()?;
    snapshot::verify(&part, &manifest).ok()?;
    std::fs::rename(&part, directory.join(manifest.file_name())).ok()?;
    net.deliver(packet).then_some(())
}

/// A node's place, with or without a node in it.
struct Slot {
    me: Identity,
    member: Member,
    place: TempDir,
    told: Arc<Mutex<Members>>,
    running: Option<(Store, Node)>,
}

struct World {
    net: Net,
    kept: Kept,
    slots: Vec<Slot>,
    runtime: Runtime,
}

impl World {
    /// The first members of a cluster, which all run.
    fn new(count: usize, kept: u64) -> Self {
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

    fn add(&mut self, cluster: ClusterId, member: Member) -> usize {
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

    fn open(&self, at: usize) -> (Store, Files) {
        let slot = &self.slots[at];
        let place = StorePlace::Directory(slot.place.path().to_owned());
        let store = Store::open_in_cluster(place, Retention::default(), slot.me.id).unwrap();
        let files = Files::open(slot.place.path(), store.replication()).unwrap();
        (store, files)
    }

    fn begin(&mut self, at: usize, beginning: Beginning) {
        let (store, mut files) = self.open(at);
        files.begin(self.slots[at].me, beginning).unwrap();
        self.run(at, store, files);
    }

    /// Begins again from the files.
    fn restart(&mut self, at: usize) {
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
    fn kill(&mut self, at: usize) {
        let slot = &mut self.slots[at];
        self.net.0.lock().unwrap().remove(&slot.me.id);
        let (store, node) = slot.running.take().unwrap();
        node.stop();
        self.runtime.block_on(store.close()).unwrap();
    }

    fn handle(&self, at: usize) -> Handle {
        self.slots[at].running.as_ref().unwrap().1.handle()
    }

    fn store(&self, at: usize) -> &Store {
        &self.slots[at].running.as_ref().unwrap().0
    }

    fn running(&self) -> Vec<usize> {
        let all = self.slots.iter().enumerate();
        let running = all.filter(|(_, slot)| slot.running.is_some());
        running.map(|(at, _)| at).collect()
    }

    fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        let waited = self
            .runtime
            .block_on(async { timeout(PATIENCE, future).await });
        waited.expect("it comes in time")
    }

    /// Waits until a node sees its cluster so.
    fn until(&self, at: usize, is_so: impl Fn(&Status) -> bool) -> Status {
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
    fn leader(&self) -> usize {
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
    fn propose(&self, at: usize, command: &Command) -> Outcome {
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

    fn barrier(&self, at: usize) {
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
    fn agree(&self) {
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

fn times() -> Times {
    // Slow machines run many tests at once.
    Times {
        heartbeat: Duration::from_millis(50),
        election_min: Duration::from_millis(300),
        election_max: Duration::from_millis(600),
    }
}

fn member(number: usize) -> Member {
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

fn adopt(heap: u8) -> Command {
    Command::Adopt {
        tenant: "t".to_owned(),
        heap: [heap; 32],
        stored_bytes: 1,
        at_us: 1,
    }
}

fn tag(heap: u8, value: usize) -> Command {
    Command::Retag(Box::new(Retag {
        tenant: "t".to_owned(),
        heap: [heap; 32],
        change: TagChange::Replace(vec![("v".to_owned(), value.to_string())]),
        at_us: 2,
    }))
}

fn value(world: &World, at: usize, heap: u8) -> Option<String> {
    let heap = crate::heaps::HeapId::from_bytes([heap; 32]);
    let tags = world.wait(world.store(at).heap_tags("t".parse().unwrap(), heap));
    let tags = tags.unwrap()?;
    let found = tags.iter().find(|(key, _)| *key == "v");
    found.map(|(_, value)| value.to_owned())
}

#[test]
fn every_node_makes_changes_that_every_node_shows() {
    let world = World::new(3, 1000);
    world.leader();
    for at in 0..3_u8 {
        assert_eq!(world.propose(at.into(), &adopt(at)), Outcome::Done);
        assert_eq!(world.propose(at.into(), &tag(at, at.into())), Outcome::Done);
        // Whoever has the answer reads what it wrote, and so does whoever asks for what is certain.
        let expected = Some(at.to_string());
        assert_eq!(value(&world, at.into(), at), expected);
        for other in 0..3 {
            world.barrier(other);
            assert_eq!(value(&world, other, at), expected);
        }
    }
    assert_eq!(world.propose(1, &tag(9, 1)), Outcome::Missing);
    world.agree();
    let status = world.handle(world.leader()).status();
    assert_eq!(
        (status.role, status.standing),
        (Role::Leader, Standing::Works)
    );
    assert_eq!(status.members.present.len(), 3);
    assert_eq!(world.slots[0].told.lock().unwrap().present.len(), 3);
}

#[test]
fn a_request_is_done_once_however_often_it_is_asked() {
    let world = World::new(3, 1000);
    world.leader();
    world.propose(0, &adopt(1));
    let bytes = crate::raft::command::encode(&tag(1, 7)).unwrap();
    let request = world.handle(0).request(Ask::Command(bytes.into())).unwrap();
    for at in [0, 1, 2, 0] {
        let answer = world.wait(world.handle(at).ask(request.clone()));
        assert_eq!(answer, Ok(Outcome::Done), "node {at}");
        if at == 0 {
            world.propose(0, &tag(1, 8));
        }
    }
    world.barrier(0);
    assert_eq!(value(&world, 0, 1), Some("8".to_owned()));
    let malformed = Ask::Command(bytes::Bytes::from_static(&[99, 1]));
    let request = world.handle(1).request(malformed).unwrap();
    assert_eq!(
        world.wait(world.handle(1).ask(request)),
        Err(Failure::Refused(Refusal::Malformed))
    );
}

#[test]
fn nodes_die_and_come_back_with_all_that_was_answered() {
    let mut world = World::new(3, 1000);
    world.leader();
    world.propose(0, &adopt(1));
    for round in 0..3 {
        let leader = world.leader();
        world.propose(leader, &tag(1, 10 * round));
        world.kill(leader);
        let other = world.running()[0];
        world.propose(other, &tag(1, 10 * round + 1));
        world.restart(leader);
        world.barrier(leader);
        assert_eq!(value(&world, leader, 1), Some((10 * round + 1).to_string()));
    }
    // All at once.
    for at in 0..3 {
        world.kill(at);
    }
    for at in 0..3 {
        world.restart(at);
    }
    world.barrier(1);
    assert_eq!(value(&world, 1, 1), Some("21".to_owned()));
    world.agree();
}

#[test]
fn a_node_that_lags_behind_the_log_gets_a_snapshot() {
    let mut world = World::new(3, 8);
    let leader = world.leader();
    world.propose(leader, &adopt(1));
    let late = (leader + 1) % 3;
    world.kill(late);
    let behind = world.handle(leader).status().last;
    let mut written = 0;
    let is_short = |world: &World| {
        let mut running = world.running().into_iter();
        running.all(|at| world.handle(at).status().base > behind)
    };
    while !is_short(&world) {
        written += 1;
        assert!(written < 2000, "the log becomes no shorter");
        world.propose(leader, &tag(1, written));
    }
    world.restart(late);
    world.barrier(late);
    assert_eq!(value(&world, late, 1), Some(written.to_string()));
    assert!(
        world.handle(late).status().base > behind,
        "it has no such log"
    );
    world.agree();
    // It goes on from there after its death, too.
    world.kill(late);
    world.restart(late);
    world.agree();
}

#[test]
fn a_node_joins_votes_and_leaves() {
    let mut world = World::new(1, 1000);
    world.propose(0, &adopt(1));
    let cluster = world.slots[0].me.cluster;
    let new = world.add(cluster, member(7));
    world.begin(new, Beginning::Later);
    let join = MemberChange::Join(world.slots[new].member.clone());
    let joined = world.wait(world.handle(0).change_members(join.clone()));
    assert_eq!(joined, Ok(Outcome::Done));
    let id = world.slots[new].me.id;
    world.until(0, |now| now.conf.get_voters().contains(&id.get()));
    world.propose(new, &tag(1, 5));
    assert_eq!(value(&world, new, 1), Some("5".to_owned()));
    world.agree();
    // A second time it is there.
    assert_eq!(
        world.wait(world.handle(new).change_members(join)),
        Ok(Outcome::Done)
    );

    let left = world.wait(world.handle(0).change_members(MemberChange::Remove(id)));
    assert_eq!(left, Ok(Outcome::Done));
    let is_over = |now: &Status| now.standing == Standing::Stopped(Some(Stop::Removed));
    world.until(new, is_over);
    let stopped = world.wait(world.handle(new).propose(&adopt(2)));
    assert_eq!(stopped, Err(Failure::Stopped));
    assert!(world.slots[0].told.lock().unwrap().was_removed(id));
    world.propose(0, &tag(1, 6));
}

#[test]
fn a_node_that_stops_gives_its_leadership_away_first() {
    let mut world = World::new(3, 1000);
    let leader = world.leader();
    world.wait(world.handle(leader).hand_over());
    let next = world.handle(leader).leader();
    assert!(next.is_some() && next != Some(world.slots[leader].me.id));
    world.kill(leader);
    world.leader();
    world.agree();
}

#[test]
fn alone_of_three_nothing_is_certain() {
    let mut world = World::new(3, 1000);
    world.leader();
    world.kill(0);
    world.kill(1);
    let handle = world.handle(2);
    // Waiting for all of the patience would only take long.
    let soon = Duration::from_secs(1);
    let read = world
        .runtime
        .block_on(async { timeout(soon, handle.read_barrier()).await });
    assert!(!matches!(read, Ok(Ok(()))));
    let write = world
        .runtime
        .block_on(async { timeout(soon, handle.propose(&adopt(1))).await });
    assert!(!matches!(write, Ok(Ok(_))));
    world.restart(0);
    world.leader();
    assert_eq!(world.propose(2, &adopt(2)), Outcome::Done);
}
