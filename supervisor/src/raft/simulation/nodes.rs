//! What nodes want done, done by simulated disks and a simulated network.

use std::sync::Arc;

use bytes::Bytes;

use super::disk::{Content, apply_all};
use super::world::{File, Slot, What, World};
use super::{Checked, Fault, Violation, must};
use crate::dice::hash;
use crate::raft::codec;
use crate::raft::core::{Effect, Event, TurnedAway};
use crate::raft::ids::RaftId;
use crate::raft::packet::{Body, Packet};
use crate::raft::state::{Item, State};

impl World {
    pub(super) fn perform(&mut self, slot: usize, effect: Effect) -> Checked {
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

    pub(super) fn deliver(&mut self, bytes: &[u8], file: Option<File>) -> Checked {
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

    pub(super) fn disk_done(&mut self, slot: usize, life: u64) -> Checked {
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
        place.disk.checked()?;
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
        place.disk.commit_state(items, &answers, is_durable);
        place.disk.checked()?;
        let members = (&members != running.core.members()).then_some(members);
        let event = Event::Applied { answers, members };
        let wait = if self.dice.chance(200) { 3 } else { 0 };
        let life = self.slots[slot].life;
        self.after(self.now_plus(wait), What::Tell(slot, life, event));
        Ok(())
    }

    pub(super) fn checkpoint(&mut self, slot: usize) -> Checked {
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

    pub(super) fn make_snapshot(&mut self, slot: usize, life: u64) -> Checked {
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
        let state = match fault {
            Some(Fault::StaleSnapshot) => place.disk.state.clone(),
            _ => running.state.clone(),
        };
        let file = place.disk.snapshot_file();
        let content = Content { state, file };
        self.checks.state(&running.state)?;
        self.files += 1;
        let manifest = Bytes::copy_from_slice(&self.files.to_be_bytes());
        place.disk.put_file(manifest.clone(), Arc::new(content));
        self.tell(slot, life, Event::SnapshotMade { at, conf, manifest })
    }
}
