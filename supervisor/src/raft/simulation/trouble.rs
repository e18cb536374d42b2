//! What goes wrong.

use raft::eraftpb::ConfState;

use super::world::{EMPTY, What, World, new_member};
use super::{Checked, Fault};
use crate::raft::core::Event;
use crate::raft::ids::RaftId;
use crate::raft::log::StoredLog;
use crate::raft::request::{Ask, Member, MemberChange};
use crate::raft::state::MemoryState;

/// Members that the simulated operator lets there be.
const MEMBERS_MAX: usize = 7;

impl World {
    /// One thing goes wrong, or is set right.
    pub(super) fn trouble(&mut self) -> Checked {
        if self.is_calm {
            return Ok(());
        }
        let wait = self.dice.between(10, 250);
        self.after(self.now_plus(wait), What::Trouble);
        match self.dice.below(23) {
            0..=2 => {
                let slot = self.some_node();
                self.crash_for_a_while(slot);
            }
            3 => {
                let slot = self.leader();
                self.crash_for_a_while(slot);
            }
            4 => {
                for slot in 0..self.slots.len() {
                    self.crash_for_a_while(Some(slot));
                }
            }
            5..=6 => self.split(),
            7 => self.isolate_leader(),
            8 => self.cut_one_way(),
            9..=10 => self.net.cut.clear(),
            11 => self.pause(),
            12 => self.slow_disk(),
            13 => self.full_disk(),
            14..=15 => self.change_weather(),
            16..=17 => return self.join(),
            18 => return self.remove(),
            19 => return self.wipe(),
            20..=21 => return self.replace(),
            _ => {
                if let Some(slot) = self.leader() {
                    return self.feed(slot, Event::HandOver);
                }
            }
        }
        Ok(())
    }

    fn leader(&self) -> Option<usize> {
        let leads = |at: &usize| {
            let running = self.slots[*at].running.as_ref();
            running.is_some_and(|running| running.core.is_leader())
        };
        (0..self.slots.len()).find(leads)
    }

    fn crash_for_a_while(&mut self, slot: Option<usize>) {
        let Some(slot) = slot else { return };
        if self.slots[slot].running.is_some() {
            self.crash(slot);
            let wait = self.dice.between(5, 800);
            self.after(self.now_plus(wait), What::Restart(slot));
        }
    }

    fn ids(&self) -> Vec<RaftId> {
        self.slots.iter().map(|slot| slot.me.id).collect()
    }

    fn split(&mut self) {
        let ids = self.ids();
        let sides: Vec<bool> = ids.iter().map(|_| self.dice.chance(500)).collect();
        self.net.cut.clear();
        for (from, of_from) in ids.iter().zip(&sides) {
            for (to, of_to) in ids.iter().zip(&sides) {
                if of_from != of_to {
                    self.net.cut.insert((*from, *to));
                }
            }
        }
    }

    fn isolate_leader(&mut self) {
        let Some(leader) = self.leader() else { return };
        let leader = self.slots[leader].me.id;
        let is_one_way = self.dice.chance(300);
        for other in self.ids() {
            self.net.cut.insert((other, leader));
            if !is_one_way {
                self.net.cut.insert((leader, other));
            }
        }
    }

    fn cut_one_way(&mut self) {
        let ids = self.ids();
        let ends = (self.dice.pick(&ids).copied(), self.dice.pick(&ids).copied());
        if let (Some(from), Some(to)) = ends {
            self.net.cut.insert((from, to));
        }
    }

    fn pause(&mut self) {
        let slot = if self.dice.chance(500) {
            self.leader()
        } else {
            self.some_node()
        };
        if let Some(slot) = slot {
            let wait = self.dice.between(20, 700);
            self.slots[slot].paused_until = self.now_plus(wait);
        }
    }

    fn slow_disk(&mut self) {
        if let Some(slot) = self.some_node() {
            let wait = self.dice.between(50, 600);
            self.slots[slot].disk.slow_until = self.now_plus(wait);
        }
    }

    fn full_disk(&mut self) {
        if let Some(slot) = self.some_node() {
            let wait = self.dice.between(50, 400);
            self.slots[slot].disk.full_until = self.now_plus(wait);
        }
    }

    fn change_weather(&mut self) {
        if self.dice.chance(250) {
            // A storm: answers come after the questions that follow theirs.
            (self.net.loss, self.net.repeats) = (300, 100);
            (self.net.late, self.net.late_max) = (500, 400);
            return;
        }
        self.net.loss = *self.dice.pick(&[0, 0, 10, 100, 300]).unwrap_or(&0);
        self.net.repeats = *self.dice.pick(&[0, 10, 200]).unwrap_or(&0);
        self.net.late = *self.dice.pick(&[0, 50, 200, 500]).unwrap_or(&0);
        self.net.late_max = *self.dice.pick(&[20, 100, 400, 2000]).unwrap_or(&20);
    }

    /// The members, as some node knows them.
    fn members(&self) -> Vec<Member> {
        let newest = self.running().max_by_key(|running| running.core.applied());
        newest.map_or_else(Vec::new, |running| running.core.members().present.clone())
    }

    fn ask(&mut self, change: MemberChange) -> Checked {
        match self.some_node() {
            Some(slot) => self.request(slot, Ask::Member(change)),
            None => Ok(()),
        }
    }

    fn join(&mut self) -> Checked {
        // One that could not come in yet, or a new one.
        let members = self.members();
        let waits = |at: &usize| {
            let slot = &self.slots[*at];
            !slot.is_gone && !members.iter().any(|member| member.id == slot.me.id)
        };
        let waiting = (0..self.slots.len()).find(waits);
        let member = match waiting {
            Some(slot) => self.slots[slot].member.clone(),
            None if members.len() >= MEMBERS_MAX => return Ok(()),
            None => self.new_node(),
        };
        self.ask(MemberChange::Join(member))
    }

    fn new_node(&mut self) -> Member {
        let mut member = new_member(self.names, &mut self.dice);
        self.names += 1;
        member.is_learner_for_good = self.dice.chance(350);
        self.begin_empty(member.clone());
        member
    }

    fn begin_empty(&mut self, member: Member) {
        let log = StoredLog {
            base: EMPTY,
            ..StoredLog::default()
        };
        let mut state = MemoryState::first(Vec::new(), &ConfState::default());
        let Ok(()) = crate::raft::state::State::set_applied(&mut state, EMPTY, None);
        self.add_slot(member, log, state);
    }

    fn remove(&mut self) -> Checked {
        let members = self.members();
        match self.dice.pick(&members) {
            Some(member) if members.len() > 1 => {
                let id = member.id;
                self.ask(MemberChange::Remove(id))
            }
            _ => Ok(()),
        }
    }

    /// A learner takes the place of a voter, of a lost one if there is one.
    fn replace(&mut self) -> Checked {
        let conf = self.checks.conf();
        let ids = |list: &[u64]| -> Vec<RaftId> {
            list.iter().filter_map(|id| RaftId::from_u64(*id)).collect()
        };
        let (voters, learners) = (ids(conf.get_voters()), ids(conf.get_learners()));
        let is_lost = |id: &&RaftId| {
            let mut of = self.slots.iter().filter(|slot| slot.me.id == **id);
            of.all(|slot| slot.is_gone)
        };
        let lost = voters.iter().find(is_lost).copied();
        let old = lost.or_else(|| self.dice.pick(&voters).copied());
        match (old, self.dice.pick(&learners).copied()) {
            (Some(old), Some(new)) => self.ask(MemberChange::Replace { old, new }),
            _ => Ok(()),
        }
    }

    /// A disk is lost, if the others can do without it. Its node comes back as a new one.
    fn wipe(&mut self) -> Checked {
        let Some(slot) = self.some_node() else {
            return Ok(());
        };
        let id = self.slots[slot].me.id;
        if !self.can_lose(id) {
            return Ok(());
        }
        self.crash(slot);
        self.slots[slot].is_gone = true;
        self.counts.wipes += 1;
        if self.fault == Some(Fault::ReuseId) {
            let member = self.slots[slot].member.clone();
            self.begin_empty(member);
            return Ok(());
        }
        if self.dice.chance(500) {
            return self.ask(MemberChange::Remove(id));
        }
        self.replace()
    }

    /// Whether everybody who runs knows one membership, and it can lose this node.
    fn can_lose(&self, id: RaftId) -> bool {
        let conf = self.checks.conf();
        let agree = self.running().all(|running| {
            let known = running.core.conf();
            known == conf
        });
        let lives = |one: RaftId| {
            let of = |slot: &super::world::Slot| slot.me.id == one && !slot.is_gone;
            one != id && self.slots.iter().any(of)
        };
        agree && conf.get_voters_outgoing().is_empty() && super::checks::has_quorum(&conf, &lives)
    }
}
