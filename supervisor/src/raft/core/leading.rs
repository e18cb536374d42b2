//! What goes to the leader, and what a leader does with it.

use bytes::Bytes;
use raft::ProgressState;
use raft::eraftpb::{Entry, Message, MessageType};

use super::super::command::{self, Command};
use super::super::ids::{RaftId, RequestId};
use super::super::packet::Body;
use super::super::request::{Ask, MemberChange, Refusal, Request};
use super::super::state::Ticket;
use super::Core;
use super::entries;
use super::event::Effect;
use super::membership::{Standing, Survey};

/// A request with the node that it came from; none is this one.
struct Asked {
    from: Option<RaftId>,
    request: Request,
}

impl Core {
    /// Brings what waits to the leader: into the log when this is the one.
    pub(super) fn flush(&mut self) {
        if self.is_leader() {
            self.propose();
        } else {
            // Whoever sent these believed that this node leads, and will ask again.
            self.foreign.clear();
            self.forward();
        }
        self.ask_for_reads();
    }

    fn forward(&mut self) {
        let Some(leader) = self.leader() else {
            return;
        };
        let rests_until = self.now + self.settings.patience();
        while self.proposals.is_due() {
            let due = self.proposals.take_due(rests_until);
            if !due.is_empty() {
                let packet = self.packet(leader, Body::Propose(due));
                self.effects.push(Effect::Send(packet));
            }
        }
    }

    fn ask_for_reads(&mut self) {
        if self.leader().is_none() {
            return;
        }
        #[cfg(test)]
        self.break_reads();
        if let Some(name) = self.reads.question(self.now) {
            self.raw.read_index(name);
        }
    }

    #[cfg(test)]
    fn break_reads(&mut self) {
        use super::super::simulation::Fault;
        let is_lease = self.is_faulty(Fault::ReadByLease) && self.is_leader();
        if is_lease || self.is_faulty(Fault::ReadWithoutAsking) {
            for id in self.reads.drain() {
                self.effects.push(Effect::ReadReady(id, Ok(())));
            }
        }
        if self.is_faulty(Fault::ReuseReadNames) {
            self.reads.forget_names();
        }
    }

    fn propose(&mut self) {
        let rests_until = self.now + self.settings.patience();
        let mut asked: Vec<Asked> = Vec::new();
        for request in self.proposals.take_due(rests_until) {
            asked.push(Asked {
                from: None,
                request,
            });
        }
        for (from, request) in std::mem::take(&mut self.foreign) {
            asked.push(Asked {
                from: Some(from),
                request,
            });
        }
        let mut commands = Vec::new();
        for Asked { from, request } in asked {
            let ticket = Ticket {
                id: request.id,
                born: request.born,
            };
            match request.ask {
                Ask::Member(change) => self.propose_change(from, ticket, &change),
                Ask::Command(bytes) => {
                    if command::decode::<Command>(&bytes).is_err() {
                        // Every node would have to stop over it.
                        self.refuse(from, ticket.id, Refusal::Malformed);
                    } else if self.proposals.enter_log(ticket.id) {
                        commands.push((ticket, bytes));
                    }
                }
            }
        }
        self.propose_commands(commands);
    }

    fn propose_commands(&mut self, commands: Vec<(Ticket, Bytes)>) {
        if commands.is_empty() {
            return;
        }
        let ids: Vec<RequestId> = commands.iter().map(|(ticket, _)| ticket.id).collect();
        let as_entry = |(ticket, bytes)| Entry {
            context: entries::ticket_bytes(ticket).into(),
            data: bytes,
            ..Entry::default()
        };
        let all: Vec<Entry> = commands.into_iter().map(as_entry).collect();
        let mut message = Message::default();
        message.set_msg_type(MessageType::MsgPropose);
        message.from = self.me.id.get();
        message.set_entries(all.into());
        if self.raw.raft.step(message).is_err() {
            // Too much is uncommitted, or the leadership is being given away: they are sent again.
            for id in ids {
                self.proposals.leave_log(id);
            }
        } else {
            #[cfg(test)]
            self.answer_early(ids);
        }
    }

    #[cfg(test)]
    fn answer_early(&mut self, ids: Vec<RequestId>) {
        if self.is_faulty(super::super::simulation::Fault::AnswerBeforeCommit) {
            for id in ids {
                if self.proposals.answered(id) {
                    self.answer(id, Ok(super::super::command::Outcome::Done));
                }
            }
        }
    }

    /// Puts a change of the membership into the log if it can be made now. One that cannot be yet is
    /// asked for again by whoever wants it.
    fn propose_change(&mut self, from: Option<RaftId>, ticket: Ticket, change: &MemberChange) {
        let checked = self.survey().check(change);
        if let Err(refusal) = checked {
            // A new leader has heard only those who voted for it: it takes nobody for dead yet.
            if refusal != Refusal::LosesQuorum || self.reigns_since + self.memory() < self.now {
                self.refuse(from, ticket.id, refusal);
            }
            return;
        }
        if self.is_under_way() {
            return;
        }
        if leaver(change) == Some(self.me.id) {
            // Another one leads first, and does it then.
            self.hand_over();
            return;
        }
        let bytes = entries::change_bytes(Some(ticket), change);
        let Some(context) = bytes.filter(|_| self.proposals.enter_log(ticket.id)) else {
            return;
        };
        let proposed = self
            .raw
            .propose_conf_change(context, entries::conf_change(Some(change)));
        if proposed.is_err() {
            self.proposals.leave_log(ticket.id);
        }
    }

    fn refuse(&mut self, from: Option<RaftId>, id: RequestId, refusal: Refusal) {
        match from {
            None => self.refused(id, refusal),
            Some(from) => {
                let packet = self.packet(from, Body::Refuse(id, refusal));
                self.effects.push(Effect::Send(packet));
            }
        }
    }

    /// Whether a change of the membership is not over. The raft crate would take another one without a
    /// word, and do nothing.
    fn is_under_way(&self) -> bool {
        self.raw.raft.has_pending_conf() || self.is_joint()
    }

    fn is_joint(&self) -> bool {
        !self.conf().get_voters_outgoing().is_empty()
    }

    /// What a leader does for its members by itself.
    pub(super) fn tend_members(&mut self) {
        if !self.is_leader() {
            self.joint_since = None;
            return;
        }
        if self.is_joint() {
            self.leave_joint();
            return;
        }
        self.joint_since = None;
        if self.raw.raft.has_pending_conf() {
            return;
        }
        if let Some(id) = self.survey().promotable() {
            let change = MemberChange::Promote(id);
            if let Some(context) = entries::change_bytes(None, &change) {
                // If it is dropped, it is proposed again.
                let _ = self
                    .raw
                    .propose_conf_change(context, entries::conf_change(Some(&change)));
            }
        }
    }

    /// The raft crate ends a step in between by itself, unless its leader went in the midst of it.
    fn leave_joint(&mut self) {
        let since = *self.joint_since.get_or_insert(self.now);
        let is_late = self.now >= since + 2 * self.settings.election_ticks_max as u64;
        if is_late && !self.raw.raft.has_pending_conf() {
            self.joint_since = Some(self.now);
            let _ = self
                .raw
                .propose_conf_change(Vec::new(), entries::conf_change(None));
        }
    }

    /// Gives the leadership to the voter that has most of the log.
    pub(super) fn hand_over(&mut self) {
        if !self.is_leader() {
            return;
        }
        let survey = self.survey();
        let others = survey.standings.iter();
        let others = others.filter(|one| one.votes && one.is_alive && one.id != self.me.id);
        if let Some(best) = others.max_by_key(|one| (one.matched, one.id)) {
            self.raw.transfer_leader(best.id.get());
        }
    }

    /// For how long a node counts as alive that was heard, in ticks.
    const fn memory(&self) -> u64 {
        2 * self.settings.election_ticks_min as u64
    }

    /// The cluster, as this leader sees it.
    pub(super) fn survey(&self) -> Survey<'_> {
        let conf = self.conf();
        let mut standings = Vec::new();
        for (id, progress) in self.raw.raft.prs().iter() {
            let Some(id) = RaftId::from_u64(*id) else {
                continue;
            };
            let is_me = id == self.me.id;
            let heard = self.heard.get(&id);
            let lately = heard.is_some_and(|heard| heard + self.memory() >= self.now);
            standings.push(Standing {
                id,
                votes: conf.get_voters().contains(&id.get()),
                is_alive: is_me || lately,
                is_fed: is_me || progress.state == ProgressState::Replicate,
                matched: progress.matched,
            });
        }
        // The raft crate's order is that of a hash.
        standings.sort_by_key(|one| one.id);
        Survey {
            members: &self.members,
            standings,
            last_index: self.raw.raft.raft_log.last_index(),
        }
    }
}

/// Who loses its vote by a change.
const fn leaver(change: &MemberChange) -> Option<RaftId> {
    match change {
        MemberChange::Remove(id) | MemberChange::Replace { old: id, .. } => Some(*id),
        MemberChange::Join(_) | MemberChange::Promote(_) => None,
    }
}
