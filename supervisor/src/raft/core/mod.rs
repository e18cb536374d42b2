//! One node of a cluster, without threads, sockets, files or clocks.
//!
//! The core is told what happens ([`Event`]) and says what is to be done ([`Effect`]): a thread with
//! SQLite and connections obeys it in a server, a simulator of disks and networks in the tests. One disk
//! operation is under way at a time, and whatever comes meanwhile waits for the next: so everything
//! that arrives during one commit shares the one after it.
//!
//! ```text
//! idle ─ drain what has come, propose, ask ─▶ persist ─▶ say what rests on it ─▶ apply ─▶ answer ─▶ idle
//!                      └── a leader's entries go out at once, while its own disk writes
//! ```

mod admit;
mod entries;
mod event;
mod leading;
mod membership;
mod proposals;
mod reads;
mod ready;
mod settings;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use raft::eraftpb::{ConfState, Message, MessageType};
use raft::{RawNode, SnapshotStatus, StateRole};

pub use self::admit::TurnedAway;
pub use self::entries::{Unreadable, beyond};
pub use self::event::{Effect, Event, Failure, ReadId, StartError, Stop};
pub use self::settings::Settings;

use self::proposals::Proposals;
use self::reads::Reads;
use self::ready::Phase;
use super::command::Outcome;
use super::ids::{RaftId, RequestId};
use super::log::{Identity, LogCache, Position, StoredLog};
use super::logger;
use super::packet::{Body, Packet};
use super::request::{Refusal, Request};
use super::state::Members;

/// What a node begins with, from its two files.
#[derive(Debug, Clone, PartialEq)]
pub struct Begin {
    /// Who it is.
    pub me: Identity,
    /// Its log.
    pub log: StoredLog,
    /// The last entry that its state holds.
    pub applied: Position,
    /// The configuration as of that entry.
    pub conf: ConfState,
    /// The members as of that entry.
    pub members: Members,
}

/// Who leads, as far as a node knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reign {
    leader: u64,
    term: u64,
    role: StateRole,
}

/// A node.
pub struct Core {
    me: Identity,
    settings: Settings,
    raw: RawNode<LogCache>,
    members: Members,
    phase: Phase,
    inbox: VecDeque<Event>,
    effects: Vec<Effect>,
    proposals: Proposals,
    /// Requests of other nodes, for this leader.
    foreign: Vec<(RaftId, Request)>,
    reads: Reads,
    /// When each node was last heard.
    heard: BTreeMap<RaftId, u64>,
    now: u64,
    reign: Reign,
    /// Since when that is so.
    reigns_since: u64,
    /// The state up to this entry survives a loss of power.
    durable: u64,
    makes_snapshot: bool,
    /// Since when two configurations have to agree.
    joint_since: Option<u64>,
    /// Since when this node knows that it was removed.
    leaving_since: Option<u64>,
    stopped: Option<Stop>,
    #[cfg(test)]
    pub(super) fault: Option<super::simulation::Fault>,
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("me", &self.me)
            .field("reign", &self.reign)
            .field("applied", &self.applied())
            .field("last", &self.last())
            .finish_non_exhaustive()
    }
}

impl Core {
    /// A node that goes on where its files end.
    ///
    /// # Errors
    /// [`StartError`]: it must not take part with these files.
    pub fn start(begin: Begin, settings: Settings) -> Result<Self, StartError> {
        let applied = begin.applied.index;
        let log = begin.log.reconcile(applied)?;
        let is_alone = begin.conf.get_voters() == [begin.me.id.get()]
            && begin.conf.get_voters_outgoing().is_empty();
        let config = settings.config(begin.me.id, applied);
        let cache = LogCache::new(log, begin.conf);
        let raw = RawNode::new(&config, cache, &logger::logger())?;
        let mut core = Self {
            me: begin.me,
            reign: Reign {
                leader: 0,
                term: 0,
                role: StateRole::Follower,
            },
            reads: Reads::new(settings.start),
            settings,
            raw,
            members: begin.members,
            phase: Phase::Idle,
            inbox: VecDeque::new(),
            effects: Vec::new(),
            proposals: Proposals::default(),
            foreign: Vec::new(),
            heard: BTreeMap::new(),
            now: 0,
            reigns_since: 0,
            durable: applied,
            makes_snapshot: false,
            joint_since: None,
            leaving_since: None,
            stopped: None,
            #[cfg(test)]
            fault: None,
        };
        if is_alone {
            // Nobody else could stand for election: waiting would help nobody.
            core.raw.campaign()?;
        }
        if core.members.was_removed(core.me.id) {
            core.begin_leaving();
        }
        core.observe();
        Ok(core)
    }

    /// Takes note of what has happened, and says what is to be done. Events that are given together
    /// share a commit.
    pub fn handle(&mut self, events: impl IntoIterator<Item = Event>) -> Vec<Effect> {
        for event in events {
            match event {
                Event::Persisted(members) => self.persisted(members),
                Event::Applied { answers, members } => self.applied_entries(answers, members),
                event => self.inbox.push_back(event),
            }
        }
        self.run();
        std::mem::take(&mut self.effects)
    }

    /// Who this is.
    pub const fn me(&self) -> &Identity {
        &self.me
    }

    /// The members, as of what is applied.
    pub const fn members(&self) -> &Members {
        &self.members
    }

    /// The configuration in use.
    pub fn conf(&self) -> ConfState {
        entries::in_order(self.raw.raft.prs().conf().to_conf_state())
    }

    /// Whether this node leads.
    pub fn is_leader(&self) -> bool {
        self.raw.raft.state == StateRole::Leader
    }

    /// Who leads, as far as is known here.
    pub fn leader(&self) -> Option<RaftId> {
        RaftId::from_u64(self.raw.raft.leader_id)
    }

    /// The term.
    pub fn term(&self) -> u64 {
        self.raw.raft.term
    }

    /// The last entry that is applied.
    pub fn applied(&self) -> u64 {
        self.raw.raft.raft_log.applied
    }

    /// The last entry that is known to be committed.
    pub fn committed(&self) -> u64 {
        self.raw.raft.raft_log.committed
    }

    /// The last entry of the log on the disk.
    pub fn last(&self) -> Position {
        self.log().last()
    }

    /// The term of an entry that is in the log, or just before it, whether it is on the disk or not.
    pub fn term_at(&self, index: u64) -> Option<u64> {
        self.raw.raft.raft_log.term(index).ok()
    }

    /// The log.
    pub fn log(&self) -> &LogCache {
        self.raw.store()
    }

    fn run(&mut self) {
        while self.stopped.is_none() && self.phase.is_idle() {
            while self.stopped.is_none()
                && let Some(event) = self.inbox.pop_front()
            {
                self.step(event);
            }
            if self.stopped.is_some() {
                return;
            }
            self.flush();
            self.finish_reads();
            if self.raw.has_ready() {
                self.begin_ready();
            } else if !self.begin_compaction() {
                break;
            }
        }
        self.want_snapshot();
    }

    fn step(&mut self, event: Event) {
        match event {
            Event::Tick => self.tick(),
            Event::Packet(packet) => self.receive(packet),
            Event::Propose { request, ticks } => {
                let id = request.id;
                if self.leaving_since.is_some() {
                    self.answer(id, Err(Failure::Stopped));
                } else if !self.proposals.add(request, self.now + ticks) {
                    self.answer(id, Err(Failure::Overloaded));
                }
            }
            Event::Read { id, ticks } => self.reads.add(id, self.now + ticks),
            Event::StateDurable(index) => self.durable = self.durable.max(index),
            Event::SnapshotMade { at, conf, manifest } => self.offer_snapshot(at, conf, manifest),
            Event::SnapshotFailed => self.makes_snapshot = false,
            Event::SnapshotSent { to, is_there } => {
                let status = if is_there {
                    SnapshotStatus::Finish
                } else {
                    SnapshotStatus::Failure
                };
                self.raw.report_snapshot(to.get(), status);
            }
            Event::Unreachable(to) => self.raw.report_unreachable(to.get()),
            Event::ToldRemoved => self.begin_leaving(),
            Event::HandOver => self.hand_over(),
            // Told where they are done.
            Event::Persisted(_) | Event::Applied { .. } => {}
        }
        self.observe();
    }

    fn tick(&mut self) {
        self.now += 1;
        self.raw.tick();
        self.observe();
        if self
            .now
            .is_multiple_of(self.settings.heartbeat_ticks as u64)
        {
            for id in self.proposals.wake(self.now) {
                self.answer(id, Err(Failure::Unknown));
            }
            for id in self.reads.wake(self.now, self.settings.patience()) {
                self.effects
                    .push(Effect::ReadReady(id, Err(Failure::Unknown)));
            }
            self.tend_members();
            self.end_leaving();
        }
    }

    /// This node was removed. It answers those who do not know that yet for as long as they ask: they
    /// may need its vote to learn of it. Two of whom one is removed cannot decide without it.
    fn begin_leaving(&mut self) {
        if self.leaving_since.is_none() {
            self.leaving_since = Some(self.now);
            if self.is_leader() {
                // A leader outside of its own configuration would end the process.
                let term = self.term();
                self.raw.raft.become_follower(term, raft::INVALID_ID);
                self.observe();
            }
            self.fail_all();
        }
    }

    fn end_leaving(&mut self) {
        let Some(since) = self.leaving_since else {
            return;
        };
        let heard = self.heard.values().copied().max().unwrap_or(0);
        let silence = 10 * self.settings.election_ticks_max as u64;
        if since.max(heard) + silence <= self.now {
            self.stop(Stop::Removed);
        }
    }

    fn fail_all(&mut self) {
        for id in self.proposals.drain() {
            self.answer(id, Err(Failure::Stopped));
        }
        for id in self.reads.drain() {
            self.effects
                .push(Effect::ReadReady(id, Err(Failure::Stopped)));
        }
    }

    fn receive(&mut self, packet: Packet) {
        if let Err(why) = self.admit(&packet) {
            self.effects.push(Effect::TurnAway(packet.from, why));
            return;
        }
        self.heard.insert(packet.from, self.now);
        match packet.body {
            // What the raft crate refuses is of an earlier time: of a member that has gone, say.
            Body::Raft(message) => {
                let _ = self.raw.step(*message);
            }
            Body::Propose(requests) => {
                if self.is_leader() {
                    let from = packet.from;
                    self.foreign
                        .extend(requests.into_iter().map(|request| (from, request)));
                }
            }
            Body::Refuse(id, refusal) => self.refused(id, refusal),
        }
    }

    /// Looks what a call of the raft crate has changed.
    fn observe(&mut self) {
        let raft = &self.raw.raft;
        let reign = Reign {
            leader: raft.leader_id,
            term: raft.term,
            role: raft.state,
        };
        let ticks = self
            .settings
            .election_ticks(reign.term, self.me.id.get() ^ (reign.role as u64));
        self.raw.raft.set_randomized_election_timeout(ticks);
        if reign == self.reign {
            return;
        }
        self.proposals.leader_changed();
        self.reads.leader_changed();
        if (reign.leader, reign.term) != (self.reign.leader, self.reign.term) {
            self.effects.push(Effect::Leader {
                leader: RaftId::from_u64(reign.leader),
                term: reign.term,
            });
        }
        self.reign = reign;
        self.reigns_since = self.now;
    }

    fn send(&mut self, messages: Vec<Message>) {
        for message in messages {
            let Some(to) = RaftId::from_u64(message.to) else {
                continue;
            };
            let is_snapshot = message.get_msg_type() == MessageType::MsgSnapshot;
            let packet = self.packet(to, Body::Raft(Box::new(message)));
            self.effects.push(if is_snapshot {
                Effect::SendSnapshot(packet)
            } else {
                Effect::Send(packet)
            });
        }
    }

    fn packet(&self, to: RaftId, body: Body) -> Packet {
        Packet {
            cluster: self.me.cluster,
            from: self.me.id,
            incarnation: self.me.incarnation,
            to,
            body,
        }
    }

    fn answer(&mut self, id: RequestId, answer: Result<Outcome, Failure>) {
        self.effects.push(Effect::Answer(id, answer));
    }

    /// What the leader will not do. That it is done already is what was asked for.
    fn refused(&mut self, id: RequestId, refusal: Refusal) {
        if self.proposals.answered(id) {
            let answer = match refusal {
                Refusal::Already => Ok(Outcome::Done),
                other => Err(Failure::Refused(other)),
            };
            self.answer(id, answer);
        }
    }

    fn finish_reads(&mut self) {
        let applied = self.applied();
        #[cfg(test)]
        let applied = if self.is_faulty(super::simulation::Fault::ReadBeforeApplied) {
            u64::MAX
        } else {
            applied
        };
        for id in self.reads.take_ready(applied) {
            self.effects.push(Effect::ReadReady(id, Ok(())));
        }
    }

    #[cfg(test)]
    fn is_faulty(&self, fault: super::simulation::Fault) -> bool {
        self.fault == Some(fault)
    }

    fn stop(&mut self, why: Stop) {
        if self.stopped.is_some() {
            return;
        }
        self.stopped = Some(why);
        self.fail_all();
        self.effects.push(Effect::Stop(why));
    }
}
