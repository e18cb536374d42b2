//! From what the raft crate has ready to what is durable and applied, in the one order that is safe.

use bytes::Bytes;
use raft::Ready;
use raft::eraftpb::{ConfState, Entry, Snapshot};

use super::super::command::Outcome;
use super::super::ids::RequestId;
use super::super::log::{Install, LogWrite, Position};
use super::super::state::{Item, Members, What};
use super::Core;
use super::entries::{self, Committed};
use super::event::{Effect, Stop};

/// What the core waits for.
pub(super) enum Phase {
    /// Nothing.
    Idle,
    /// A commit of what was ready.
    Persisting(Box<Ready>, LogWrite),
    /// A commit that shortens the log.
    Compacting(LogWrite),
    /// The state, which applies entries up to this one.
    Applying {
        to: u64,
        is_durable: bool,
        is_removed: bool,
    },
}

impl Phase {
    pub(super) const fn is_idle(&self) -> bool {
        matches!(self, Self::Idle)
    }
}

impl Core {
    /// Takes what is ready, and has it made durable if anything is to rest on it.
    pub(super) fn begin_ready(&mut self) {
        let mut ready = self.raw.ready();
        // A leader's own: its entries go out while its disk writes them.
        let messages = ready.take_messages();
        self.send(messages);
        for state in ready.take_read_states() {
            self.reads.answered(&state.request_ctx, state.index);
        }
        if !ready.must_sync() {
            // At most the commit has moved. It is written with whatever is written next.
            self.finish_ready(ready, None);
            return;
        }
        let write = LogWrite {
            install: install(ready.snapshot()),
            entries: ready.take_entries(),
            hard: self.raw.raft.hard_state(),
            compact_to: None,
        };
        #[cfg(test)]
        if self.is_faulty(super::super::simulation::Fault::SpeakBeforeCommit) {
            let early = ready.take_persisted_messages();
            self.send(early);
        }
        self.effects.push(Effect::Persist(write.clone()));
        self.phase = Phase::Persisting(Box::new(ready), write);
    }

    /// What was to be persisted is.
    pub(super) fn persisted(&mut self, members: Option<Members>) {
        match std::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Persisting(ready, write) => {
                self.raw.mut_store().written(&write);
                if let Some(members) = members {
                    self.members = members;
                }
                let installed = write.install.map(|install| install.at.index);
                self.finish_ready(*ready, installed);
            }
            Phase::Compacting(write) => self.raw.mut_store().written(&write),
            other => self.phase = other,
        }
    }

    /// Says what was held back until now, and has applied what is committed.
    fn finish_ready(&mut self, mut ready: Ready, installed: Option<u64>) {
        let messages = ready.take_persisted_messages();
        self.send(messages);
        let mut committed = ready.take_committed_entries();
        let mut light = self.raw.advance_append(ready);
        self.send(light.take_messages());
        committed.extend(light.take_committed_entries());
        if let Some(index) = installed {
            self.raw.advance_apply_to(index);
            self.durable = self.durable.max(index);
        }
        self.observe();
        self.begin_apply(&committed);
    }

    fn begin_apply(&mut self, committed: &[Entry]) {
        let Some(last) = committed.last() else {
            return;
        };
        let mut items = Vec::with_capacity(committed.len());
        let (mut is_durable, mut is_removed) = (false, false);
        for entry in committed {
            let Some(read) = entries::read(entry) else {
                self.stop(Stop::UnknownChange { index: entry.index });
                return;
            };
            let what = match read {
                Committed::Nothing => What::Nothing,
                Committed::Command(ticket, bytes) => What::Command(ticket, bytes),
                Committed::Members(ticket, change) => {
                    is_durable = true;
                    let change_of_conf = entries::conf_change(change.as_ref());
                    // An error is the same on every node, and changes nothing on any.
                    let conf = self.raw.apply_conf_change(&change_of_conf).ok();
                    let conf = conf.map(entries::in_order);
                    is_removed |= conf.as_ref().is_some_and(|conf| !self.is_in(conf));
                    What::Members {
                        ticket,
                        change,
                        conf,
                    }
                }
            };
            let at = entries::position(entry);
            items.push(Item { at, what });
        }
        self.effects.push(Effect::Apply { items, is_durable });
        self.phase = Phase::Applying {
            to: last.index,
            is_durable,
            is_removed,
        };
    }

    /// What was to be applied is.
    pub(super) fn applied_entries(
        &mut self,
        answers: Vec<(RequestId, Outcome)>,
        members: Option<Members>,
    ) {
        let Phase::Applying {
            to,
            is_durable,
            is_removed,
        } = self.phase
        else {
            return;
        };
        self.phase = Phase::Idle;
        self.raw.advance_apply_to(to);
        if is_durable {
            self.durable = self.durable.max(to);
        }
        if let Some(members) = members {
            self.members = members;
        }
        for (id, outcome) in answers {
            if self.proposals.answered(id) {
                self.answer(id, Ok(outcome));
            }
        }
        self.finish_reads();
        if is_removed {
            self.begin_leaving();
        }
    }

    fn is_in(&self, conf: &ConfState) -> bool {
        let me = self.me.id.get();
        conf.get_voters().contains(&me)
            || conf.get_learners().contains(&me)
            || conf.get_voters_outgoing().contains(&me)
    }

    /// Shortens the log when it has become long; whether that has begun.
    pub(super) fn begin_compaction(&mut self) -> bool {
        let (kept, bytes) = (self.settings.log_kept_entries, self.settings.log_kept_bytes);
        let log = self.log();
        let length = self.applied() - log.base().index;
        // Seldom, and much at once: each time costs a commit.
        if length <= kept * 2 && log.bytes() <= bytes * 2 {
            return false;
        }
        let by_count = self.applied().saturating_sub(kept);
        let by_bytes = log.first_within(bytes) - 1;
        let most = self.applied().min(self.durable_for_compaction());
        let to = by_count.max(by_bytes).min(most);
        let to = self.slowest_within(to, kept * 4);
        let Some(to) = log.position(to).filter(|to| to.index > log.base().index) else {
            return false;
        };
        let write = LogWrite {
            hard: self.raw.raft.hard_state(),
            compact_to: Some(to),
            ..LogWrite::default()
        };
        self.effects.push(Effect::Persist(write.clone()));
        self.phase = Phase::Compacting(write);
        true
    }

    fn durable_for_compaction(&self) -> u64 {
        #[cfg(test)]
        if self.is_faulty(super::super::simulation::Fault::CompactTooEarly) {
            return u64::MAX;
        }
        self.durable
    }

    /// What a leader may drop so that members that live, and are not far behind, need no snapshot.
    fn slowest_within(&self, to: u64, lag_max: u64) -> u64 {
        if !self.is_leader() {
            return to;
        }
        let survey = self.survey();
        let alive = survey.standings.iter().filter(|one| one.is_alive);
        let near = alive.filter(|one| one.matched + lag_max >= self.applied());
        near.map(|one| one.matched).fold(to, u64::min)
    }

    /// Has a snapshot made when one was missing.
    pub(super) fn want_snapshot(&mut self) {
        let is_wanted = self.log().wanted().is_some();
        if is_wanted && !self.makes_snapshot && self.stopped.is_none() {
            self.makes_snapshot = true;
            self.effects.push(Effect::MakeSnapshot);
        }
    }

    pub(super) fn offer_snapshot(&mut self, at: Position, conf: ConfState, manifest: Bytes) {
        self.makes_snapshot = false;
        let mut snapshot = Snapshot {
            data: manifest,
            ..Snapshot::default()
        };
        let metadata = snapshot.mut_metadata();
        metadata.index = at.index;
        metadata.term = at.term;
        metadata.set_conf_state(conf);
        self.raw.mut_store().offer(snapshot);
    }
}

fn install(snapshot: &Snapshot) -> Option<Install> {
    let metadata = snapshot.get_metadata();
    (metadata.index > 0).then(|| Install {
        at: Position {
            index: metadata.index,
            term: metadata.term,
        },
        conf: metadata.get_conf_state().clone(),
        manifest: snapshot.data.clone(),
    })
}
