//! Nodes, their disks and the network, and the one queue of what happens next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use bytes::Bytes;
use raft::eraftpb::ConfState;

use super::checks::{Checks, has_quorum};
use super::clients::{Client, Waits};
use super::disk::{Content, Disk};
use super::files::Ground;
use super::network::Network;
use super::oracle::Operation;
use super::{Checked, Fault, Violation};
use crate::dice::{Dice, hash};
use crate::raft::core::{Begin, Core, Event, Settings};
use crate::raft::ids::{ClusterId, Incarnation, RaftId, RequestId};
use crate::raft::log::{Identity, Position, StoredLog};
use crate::raft::request::Member;
use crate::raft::state::{MemoryState, State};

/// Milliseconds of a tick.
const TICK: u64 = 10;
/// Ticks between signs of life, and of elections.
const HEARTBEAT: usize = 3;
const ELECTION: (usize, usize) = (9, 20);

/// Content of a snapshot under way, with its name.
pub(super) type File = (Bytes, Arc<Content>);

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
    ground: Ground,
    pub(super) is_calm: bool,
    pub(super) clients_rest: bool,
    pub(super) cluster: ClusterId,
    pub(super) names: u32,
    log_kept: u64,
    append_bytes: u64,
    pub(super) counts: Counts,
    pub(super) files: u64,
    pub(super) trace: u64,
}

impl World {
    /// A cluster of some first members, which all know of each other.
    pub(super) fn new(seed: u64, ground: Ground, fault: Option<Fault>) -> Self {
        let mut dice = Dice::new(seed);
        let count = *dice.pick(&[1, 2, 3, 3, 3, 3, 4, 5]).unwrap_or(&3);
        let members: Vec<Member> = (0..count).map(|name| new_member(name, &mut dice)).collect();
        let ids: Vec<RaftId> = members.iter().map(|member| member.id).collect();
        let mut conf = ConfState::default();
        conf.set_voters(ids.iter().map(|id| id.get()).collect());
        conf.mut_voters().sort_unstable();
        let mut listed = members.clone();
        if let Ground::Both(_) = ground {
            // So tables list them. Elsewhere the order stays, by which seeds are known.
            listed.sort_by_key(|member| member.id);
        }
        let mut state = MemoryState::first(listed, &conf);
        for heap in super::clients::heaps() {
            let Ok(()) = state.put_heap("t", &heap, 1, 0);
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
            ground,
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
        let me = Identity {
            cluster: self.cluster,
            id: member.id,
            incarnation: member.incarnation,
        };
        self.slots.push(Slot {
            me,
            member,
            disk: Disk::new(me, log, state, self.ground, self.fault),
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
    pub(super) fn tell(&mut self, slot: usize, life: u64, event: Event) -> Checked {
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
        place.disk.checked()?;
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
