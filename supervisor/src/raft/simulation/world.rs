//! Nodes, their disks and the network, and the one queue of what happens next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use bytes::Bytes;
use raft::eraftpb::ConfState;

use super::checks::{Checks, has_quorum};
use super::clients::{Client, Waits};
use super::dice::{Dice, hash};
use super::disk::{Disk, apply_all};
use super::network::Network;
use super::oracle::Operation;
use super::{Checked, Fault, Violation, must};
use crate::raft::codec;
use crate::raft::core::{Begin, Core, Effect, Event, Settings, TurnedAway};
use crate::raft::ids::{ClusterId, Incarnation, RaftId, RequestId};
use crate::raft::log::{Identity, Position, StoredLog};
use crate::raft::packet::{Body, Packet};
use crate::raft::request::Member;
use crate::raft::state::{Item, MemoryState, State};

/// Milliseconds of a tick.
const TICK: u64 = 10;
/// Ticks between signs of life, and of elections.
const HEARTBEAT: usize = 3;
const ELECTION: (usize, usize) = (9, 20);

/// Content of a snapshot under way, with its name.
type File = (Bytes, Arc<MemoryState>);

/// What happens at some time.
#[derive(Debug)]
pub(super) enum What {
    Tick(usize, u64),
    Deliver(Vec<u8>, Option<File>),
    Tell(usize, u64, Event),
    DiskDone(usize, u64),
    Checkpoint(usize),
    MakeSnapshot(usize, u64),
    Restart(usize),
    Client(usize),
    Trouble,
}

struct Timed {
    at: u64,
    number: u64,
    what: What,
}

impl PartialEq for Timed {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Timed {}

impl PartialOrd for Timed {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timed {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// A node that runs.
pub(super) struct Running {
    pub(super) core: Core,
    pub(super) state: MemoryState,
    pub(super) waits: Waits,
}

/// A place for a node, with its disk.
pub(super) struct Slot {
    pub(super) me: Identity,
    pub(super) member: Member,
    pub(super) disk: Disk,
    pub(super) running: Option<Running>,
    pub(super) life: u64,
    pub(super) paused_until: u64,
    /// Removed, or wiped: it does not come back.
    pub(super) is_gone: bool,
}

/// How often what happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts {
    pub(super) crashes: u64,
    pub(super) installs: u64,
    pub(super) wipes: u64,
    pub(super) stops: u64,
}

/// Everything.
pub(super) struct World {
    pub(super) dice: Dice,
    pub(super) now: u64,
    steps: u64,
    queue: BinaryHeap<Reverse<Timed>>,
    pub(super) slots: Vec<Slot>,
    pub(super) net: Network,
    pub(super) checks: Checks,
    pub(super) clients: Vec<Client>,
    pub(super) history: Vec<Operation>,
    pub(super) fault: Option<Fault>,
    pub(super) is_calm: bool,
    pub(super) clients_rest: bool,
    pub(super) cluster: ClusterId,
    pub(super) names: u32,
    log_kept: u64,
    append_bytes: u64,
    pub(super) counts: Counts,
    files: u64,
    trace: u64,
}

impl World {
    /// A cluster of some first members, which all know of each other.
    pub(super) fn new(seed: u64, fault: Option<Fault>) -> Self {
        let mut dice = Dice::new(seed);
        let count = *dice.pick(&[1, 2, 3, 3, 3, 3, 4, 5]).unwrap_or(&3);
        let members: Vec<Member> = (0..count).map(|name| new_member(name, &mut dice)).collect();
        let ids: Vec<RaftId> = members.iter().map(|member| member.id).collect();
        let mut conf = ConfState::default();
        conf.set_voters(ids.iter().map(|id| id.get()).collect());
        conf.mut_voters().sort_unstable();
        let mut state = MemoryState::first(members.clone(), &conf);
        for heap in 0..super::clients::HEAPS {
            let Ok(()) = state.put_heap("t", &super::clients::heap(heap), 1, 0);
        }
        let mut world = Self {
            log_kept: dice.between(5, 60),
            append_bytes: *dice.pick(&[0, 0, 400, 1 << 20]).unwrap_or(&0),
            counts: Counts::default(),
            dice,
            now: 0,
            steps: 0,
            queue: BinaryHeap::new(),
            slots: Vec::new(),
            net: Network::default(),
            checks: Checks::new(conf),
            clients: Vec::new(),
            history: Vec::new(),
            fault,
            is_calm: false,
            clients_rest: false,
            cluster: ClusterId::of("simulated", &ids),
            names: count,
            files: 0,
            trace: 0,
        };
        for member in members {
            world.add_slot(member, StoredLog::first(), state.clone());
        }
        world
    }

    /// A new place, with a node in it.
    pub(super) fn add_slot(&mut self, member: Member, log: StoredLog, state: MemoryState) -> usize {
        let slot = self.slots.len();
        self.slots.push(Slot {
            me: Identity {
                cluster: self.cluster,
                id: member.id,
                incarnation: member.incarnation,
            },
            member,
            disk: Disk::new(log, state, self.fault),
            running: None,
            life: 0,
            paused_until: 0,
            is_gone: false,
        });
        self.after(self.now_plus(1), What::Restart(slot));
        self.after(self.now_plus(100), What::Checkpoint(slot));
        slot
    }

    pub(super) const fn now_plus(&self, wait: u64) -> u64 {
        self.now + wait
    }

    pub(super) fn after(&mut self, at: u64, what: What) {
        self.steps += 1;
        let number = self.steps;
        self.queue.push(Reverse(Timed { at, number, what }));
    }

    pub(super) const fn trace(&self) -> u64 {
        self.trace
    }

    /// Which moment this is: no two things happen at one.
    pub(super) const fn moment(&mut self) -> u64 {
        self.steps += 1;
        self.steps
    }

    /// Lets things happen until this time.
    pub(super) fn run_until(&mut self, end: u64) -> Checked {
        while let Some(Reverse(next)) = self.queue.peek()
            && next.at <= end
        {
            let Some(Reverse(next)) = self.queue.pop() else {
                break;
            };
            self.now = self.now.max(next.at);
            self.trace = hash(self.trace, &next.at.to_le_bytes());
            self.happen(next.what)?;
        }
        self.now = end;
        Ok(())
    }

    fn happen(&mut self, what: What) -> Checked {
        match what {
            What::Tick(slot, life) => {
                if self.slots[slot].life == life && self.slots[slot].running.is_some() {
                    let wait = self.dice.between(TICK - 1, TICK + 1);
                    let at = self.now_plus(wait).max(self.slots[slot].paused_until);
                    self.after(at, What::Tick(slot, life));
                    self.tell(slot, life, Event::Tick)?;
                }
                Ok(())
            }
            What::Deliver(bytes, file) => self.deliver(&bytes, file),
            What::Tell(slot, life, event) => self.tell(slot, life, event),
            What::DiskDone(slot, life) => self.disk_done(slot, life),
            What::Checkpoint(slot) => self.checkpoint(slot),
            What::MakeSnapshot(slot, life) => self.make_snapshot(slot, life),
            What::Restart(slot) => self.restart(slot),
            What::Client(client) => self.client_acts(client),
            What::Trouble => self.trouble(),
        }
    }

    /// Tells a node something, unless it has crashed since; a paused one hears it later.
    fn tell(&mut self, slot: usize, life: u64, event: Event) -> Checked {
        let place = &self.slots[slot];
        if place.life != life || place.running.is_none() {
            return Ok(());
        }
        if place.paused_until > self.now {
            let at = place.paused_until;
            self.after(at, What::Tell(slot, life, event));
            return Ok(());
        }
        self.feed(slot, event)
    }

    /// Gives an event to a node, and does what it wants done.
    pub(super) fn feed(&mut self, slot: usize, event: Event) -> Checked {
        let Some(running) = &mut self.slots[slot].running else {
            return Ok(());
        };
        let effects = running.core.handle([event]);
        for effect in effects {
            self.perform(slot, effect)?;
        }
        if let Some(running) = &self.slots[slot].running {
            self.checks.node(&running.core)?;
        }
        Ok(())
    }

    fn perform(&mut self, slot: usize, effect: Effect) -> Checked {
        let life = self.slots[slot].life;
        match effect {
            Effect::Send(packet) => self.send(slot, &packet, None),
            Effect::SendSnapshot(packet) => self.send_snapshot(slot, &packet),
            Effect::Persist(write) => {
                let disk = &mut self.slots[slot].disk;
                let is_slow = disk.slow_until > self.now || write.install.is_some();
                disk.begin(write);
                let wait = self.dice.between(0, if is_slow { 250 } else { 4 });
                self.after(self.now_plus(wait), What::DiskDone(slot, life));
                Ok(())
            }
            Effect::Apply { items, is_durable } => self.apply(slot, items, is_durable),
            Effect::MakeSnapshot => {
                let wait = self.dice.between(1, 40);
                self.after(self.now_plus(wait), What::MakeSnapshot(slot, life));
                Ok(())
            }
            Effect::Answer(id, answer) => {
                self.answered(slot, id, answer);
                Ok(())
            }
            Effect::ReadReady(id, answer) => {
                self.read_ready(slot, id, answer.is_ok());
                Ok(())
            }
            Effect::TurnAway(from, why) => self.turned_away(from, why),
            Effect::Leader { .. } => Ok(()),
            Effect::Stop(why) => {
                let (id, conf) = (self.slots[slot].me.id, self.checks.conf());
                let is_in = conf.get_voters().contains(&id.get());
                must(!is_in, || format!("{id} stops, and is a voter: {why}"))?;
                self.crash(slot);
                self.counts.stops += 1;
                self.slots[slot].is_gone = true;
                Ok(())
            }
        }
    }

    fn send(&mut self, slot: usize, packet: &Packet, file: Option<File>) -> Checked {
        self.checks.sent(packet)?;
        let bytes = codec::encode(packet).map_err(|error| Violation(error.to_string()))?;
        self.trace = hash(self.trace, &bytes);
        let arrivals = self.net.carry(&mut self.dice, packet.from, packet.to);
        if arrivals.is_empty() && self.dice.chance(250) {
            let life = self.slots[slot].life;
            let event = Event::Unreachable(packet.to);
            self.after(self.now_plus(5), What::Tell(slot, life, event));
        }
        for wait in arrivals {
            let what = What::Deliver(bytes.clone(), file.clone());
            self.after(self.now_plus(wait), what);
        }
        Ok(())
    }

    fn send_snapshot(&mut self, slot: usize, packet: &Packet) -> Checked {
        let life = self.slots[slot].life;
        let Body::Raft(message) = &packet.body else {
            return Ok(());
        };
        let manifest = message.get_snapshot().get_data().to_vec();
        let manifest = Bytes::from(manifest);
        let content = self.slots[slot].disk.file(&manifest);
        // The content is long: it gets lost more often, and takes its time.
        let is_there = content.is_some() && !self.dice.chance(100);
        if let Some(content) = content.filter(|_| is_there) {
            self.send(slot, packet, Some((manifest, content)))?;
        }
        let wait = self.dice.between(5, 60);
        let to = packet.to;
        let event = Event::SnapshotSent { to, is_there };
        self.after(self.now_plus(wait), What::Tell(slot, life, event));
        Ok(())
    }

    fn deliver(&mut self, bytes: &[u8], file: Option<File>) -> Checked {
        let packet = codec::decode(bytes).map_err(|error| Violation(error.to_string()))?;
        let here = |slot: &Slot| slot.me.id == packet.to && slot.running.is_some();
        let Some(slot) = self.slots.iter().position(here) else {
            return Ok(());
        };
        if let Some((manifest, content)) = file {
            self.slots[slot].disk.put_file(manifest, content);
        }
        let life = self.slots[slot].life;
        self.tell(slot, life, Event::Packet(packet))
    }

    /// A node hears why nobody listens to it.
    fn turned_away(&mut self, from: RaftId, why: TurnedAway) -> Checked {
        let is_fatal = matches!(why, TurnedAway::DataLost | TurnedAway::Nonsense(_));
        must(!is_fatal, || format!("{from} was turned away: {why}"))?;
        if why == TurnedAway::Removed
            && let Some(slot) = self.slots.iter().position(|slot| slot.me.id == from)
        {
            let life = self.slots[slot].life;
            self.after(self.now_plus(3), What::Tell(slot, life, Event::ToldRemoved));
        }
        Ok(())
    }

    fn disk_done(&mut self, slot: usize, life: u64) -> Checked {
        let now = self.now;
        let place = &mut self.slots[slot];
        if place.life != life || place.running.is_none() {
            return Ok(());
        }
        if place.paused_until > now {
            let at = place.paused_until;
            self.after(at, What::DiskDone(slot, life));
            return Ok(());
        }
        if place.disk.full_until > now {
            // The core is ahead of its disk now: it has to begin again from there.
            self.crash(slot);
            self.after(self.now_plus(60), What::Restart(slot));
            return Ok(());
        }
        let installed = place.disk.finish();
        let mut members = None;
        if let (Some(state), Some(running)) = (installed, &mut place.running) {
            let Ok(of_state) = state.members();
            members = Some(of_state);
            running.state = state;
            self.counts.installs += 1;
            self.checks.state(&running.state)?;
        }
        self.feed(slot, Event::Persisted(members))?;
        self.disk_agrees(slot)
    }

    /// A disk holds what its node takes it to hold.
    fn disk_agrees(&self, slot: usize) -> Checked {
        let place = &self.slots[slot];
        let (Some(running), false) = (&place.running, place.disk.lies()) else {
            return Ok(());
        };
        let (last, base) = (place.disk.log.last_index(), place.disk.log.base);
        let log = running.core.log();
        must(last == log.last().index && base == log.base(), || {
            format!("{:?} is not what its disk holds up to {last}", running.core)
        })
    }

    fn apply(&mut self, slot: usize, items: Vec<Item>, is_durable: bool) -> Checked {
        let mut answers = Vec::new();
        for item in &items {
            let fault = self.fault;
            let Some(running) = &mut self.slots[slot].running else {
                return Ok(());
            };
            let one = std::slice::from_ref(item);
            let answer = apply_all(&mut running.state, one, fault).map_err(Violation)?;
            answers.extend(answer.iter().copied());
            let slots = &self.slots;
            let holds = |id| {
                let of = |slot: &&Slot| slot.me.id == id;
                slots
                    .iter()
                    .filter(of)
                    .any(|slot| slot.disk.holds(item.at.index, item.at.term))
            };
            self.checks.applied(item, answer.first().copied(), holds)?;
        }
        let place = &mut self.slots[slot];
        let Some(running) = &place.running else {
            return Ok(());
        };
        let Ok(members) = running.state.members();
        let Ok(applied) = running.state.applied();
        if applied.index % 64 < items.len() as u64 {
            self.checks.state(&running.state)?;
        }
        place.disk.commit_state(items, is_durable);
        let members = (&members != running.core.members()).then_some(members);
        let event = Event::Applied { answers, members };
        let wait = if self.dice.chance(200) { 3 } else { 0 };
        let life = self.slots[slot].life;
        self.after(self.now_plus(wait), What::Tell(slot, life, event));
        Ok(())
    }

    fn checkpoint(&mut self, slot: usize) -> Checked {
        let wait = self.dice.between(50, 500);
        self.after(self.now_plus(wait), What::Checkpoint(slot));
        let place = &mut self.slots[slot];
        if place.running.is_none() || place.paused_until > self.now {
            return Ok(());
        }
        let durable = place.disk.checkpoint();
        let life = place.life;
        self.tell(slot, life, Event::StateDurable(durable))
    }

    fn make_snapshot(&mut self, slot: usize, life: u64) -> Checked {
        let fault = self.fault;
        let place = &mut self.slots[slot];
        let Some(running) = &place.running else {
            return Ok(());
        };
        if place.life != life {
            return Ok(());
        }
        if self.dice.chance(50) {
            return self.tell(slot, life, Event::SnapshotFailed);
        }
        let Ok(at) = running.state.applied();
        let conf = running.state.conf();
        let content = match fault {
            Some(Fault::StaleSnapshot) => place.disk.state.clone(),
            _ => running.state.clone(),
        };
        self.checks.state(&running.state)?;
        self.files += 1;
        let manifest = Bytes::copy_from_slice(&self.files.to_be_bytes());
        place.disk.put_file(manifest.clone(), Arc::new(content));
        self.tell(slot, life, Event::SnapshotMade { at, conf, manifest })
    }

    /// A process ends at once, and with it what was not durable.
    pub(super) fn crash(&mut self, slot: usize) {
        let place = &mut self.slots[slot];
        if let Some(running) = place.running.take() {
            place.life += 1;
            self.counts.crashes += 1;
            place.disk.crash(&mut self.dice);
            self.forget_waits(running.waits);
        }
    }

    /// A node begins again from its disk.
    pub(super) fn restart(&mut self, slot: usize) -> Checked {
        let start = self.dice.bytes();
        let place = &mut self.slots[slot];
        if place.running.is_some() || place.is_gone {
            return Ok(());
        }
        if place.disk.full_until > self.now {
            let at = self.now_plus(60);
            self.after(at, What::Restart(slot));
            return Ok(());
        }
        place.disk.recover();
        let state = place.disk.state.clone();
        let Ok(applied) = state.applied();
        let Ok(members) = state.members();
        let begin = Begin {
            me: place.me,
            log: place.disk.log.clone(),
            applied,
            conf: state.conf(),
            members,
        };
        let mut settings = Settings::new(HEARTBEAT, ELECTION, start);
        settings.log_kept_entries = self.log_kept;
        settings.append_bytes = self.append_bytes;
        let mut core = Core::start(begin, settings)
            .map_err(|error| Violation(format!("a node cannot start: {error}")))?;
        core.fault = self.fault;
        place.running = Some(Running {
            core,
            state,
            waits: Waits::default(),
        });
        let life = place.life;
        let wait = self.dice.between(1, TICK);
        self.after(self.now_plus(wait), What::Tick(slot, life));
        Ok(())
    }

    /// Ends all trouble, and begins what has crashed.
    pub(super) fn calm(&mut self) {
        self.is_calm = true;
        self.net.heal();
        for slot in 0..self.slots.len() {
            let place = &mut self.slots[slot];
            place.paused_until = 0;
            place.disk.slow_until = 0;
            place.disk.full_until = 0;
            self.after(self.now_plus(1), What::Restart(slot));
        }
    }

    /// Whether the cluster has become one: one leader, and everybody in it as far as the leader is.
    pub(super) fn is_one(&self) -> bool {
        let leaders = self.running().filter(|running| running.core.is_leader());
        let Some(leader) = leaders.max_by_key(|running| running.core.term()) else {
            return false;
        };
        let conf = leader.core.conf();
        let members = conf.get_voters().iter().chain(conf.get_learners());
        let is_lost = |id: &u64| {
            let of = |slot: &&Slot| slot.me.id.get() == *id;
            self.slots.iter().filter(of).all(|slot| slot.is_gone)
        };
        let is_level = |id: &u64| {
            let of = |running: &&Running| running.core.me().id.get() == *id;
            self.running().find(of).is_some_and(|running| {
                running.core.applied() == leader.core.applied()
                    && running.core.term() == leader.core.term()
            })
        };
        conf.get_voters_outgoing().is_empty()
            && leader.core.applied() == leader.core.last().index
            && members.into_iter().all(|id| is_lost(id) || is_level(id))
    }

    /// Whether enough disks are left for anything to be decided: a wiped one never comes back.
    pub(super) fn can_decide(&self) -> bool {
        let lives = |id| {
            self.slots
                .iter()
                .any(|slot| slot.me.id == id && slot.running.is_some())
        };
        has_quorum(&self.checks.conf(), &lives)
    }

    pub(super) fn running(&self) -> impl Iterator<Item = &Running> {
        self.slots.iter().filter_map(|slot| slot.running.as_ref())
    }

    pub(super) fn new_request(&mut self) -> RequestId {
        RequestId(self.dice.bytes())
    }

    /// What differs when the cluster is not one, for the report.
    pub(super) fn report(&self) -> String {
        let nodes: Vec<String> = self
            .slots
            .iter()
            .map(|slot| match &slot.running {
                Some(running) => format!("{:?}", running.core),
                None => format!("{} is down, gone: {}", slot.me.id, slot.is_gone),
            })
            .collect();
        format!("{:?}\n{}", self.checks.conf(), nodes.join("\n"))
    }
}

/// A node of a new life.
pub(super) fn new_member(name: u32, dice: &mut Dice) -> Member {
    let name = format!("n{name}");
    let incarnation = Incarnation(dice.bytes());
    Member {
        id: RaftId::of(&name, incarnation),
        address: format!("{name}:1"),
        name,
        incarnation,
        is_learner_for_good: false,
    }
}

/// Where a log of nobody begins.
pub(super) const EMPTY: Position = Position { index: 0, term: 0 };
