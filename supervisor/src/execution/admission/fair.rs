//! Whose turn it is: slots, queues and shares as a pure machine, without clock, lock or channel.
//!
//! Start-time fair queueing over tenants. Each tenant has a clock of its own, its *service*: the time
//! for which it has held slots, divided by its weight. A slot that is free goes to the tenant that
//! wants one and has the least service; within a tenant, first come, first served. How long a script
//! takes is known only afterwards, so time is charged while it passes: nobody gains by asking for
//! little and taking much. A grant also costs [`GRANT_COST`] at once, so that turns alternate where
//! scripts take no time at all.
//!
//! What follows from that, and is tested:
//!
//! * Between two tenants that want slots all the time, the difference of their services never exceeds
//!   what they have running and one more execution each. So shares go by weight, and nobody starves.
//! * A tenant that comes back after it wanted nothing begins with the service of who is served now:
//!   it is next, but has saved up nothing.
//! * No slot is free while somebody wants one who may have it.
//! * A tenant that has nothing in the queue finds a place there, unless more tenants wait than the queue
//!   has places.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::{Refusal, Share};
use crate::limits::TENANTS_REMEMBERED_MAX;
use crate::quota::Sharing;
use crate::tenant::Tenant;

/// What one grant costs beside the time that the slot is held.
const GRANT_COST: Duration = Duration::from_millis(1);

/// Service is time in microseconds, times this, divided by a weight: so that weights divide well.
const SCALE: u128 = 1000;

/// The name of one who waits or runs.
pub(super) type Number = u64;

/// The slots, and who wants them.
#[derive(Debug)]
pub(super) struct Fair {
    slots: usize,
    queue_length_max: usize,
    sharing: Sharing,
    running: usize,
    waiting: usize,
    /// Slots that are held, but will be given back by themselves in a moment.
    promised: usize,
    next_number: Number,
    /// The service at which those who come begin: that of who was served last, when its turn came.
    now_served: u128,
    lines: HashMap<Tenant, Line>,
}

/// One tenant.
#[derive(Debug)]
struct Line {
    share: Share,
    /// What has been charged.
    service: u128,
    running: usize,
    promised: usize,
    /// The sum of the times at which those that run began.
    begun: Duration,
    waiting: VecDeque<Number>,
}

impl Fair {
    pub(super) fn new(slots: usize, queue_length_max: usize, sharing: Sharing) -> Self {
        Self {
            slots,
            queue_length_max,
            sharing,
            running: 0,
            waiting: 0,
            promised: 0,
            next_number: 0,
            now_served: 0,
            lines: HashMap::new(),
        }
    }

    /// Whether somebody of this tenant would be let in.
    pub(super) fn look(&self, tenant: &Tenant, share: Share) -> Result<(), Refusal> {
        let (running, waiting, promised) = self.lines.get(tenant).map_or((0, 0, 0), |line| {
            (line.running, line.waiting.len(), line.promised)
        });
        if self.running < self.slots && running < share.concurrent {
            return Ok(());
        }
        if waiting >= share.queued.saturating_add(promised) {
            return Err(Refusal::OwnFull {
                running: share.concurrent.min(self.slots),
                queue_length: share.queued,
            });
        }
        let places = self.queue_length_max + self.promised;
        let has_place = self
            .sharing
            .allows(waiting, places.saturating_sub(self.waiting))
            || self.has_first_place(waiting, places);
        if has_place {
            return Ok(());
        }
        Err(if self.waiting < places {
            Refusal::QueueShared { waiting }
        } else {
            Refusal::Full {
                slots: self.slots,
                queue_length: self.queue_length_max,
            }
        })
    }

    /// Floods of many leave little to who comes after them: the first of a tenant has places of its own,
    /// as many again.
    const fn has_first_place(&self, waiting: usize, places: usize) -> bool {
        match self.sharing {
            Sharing::Alone => false,
            Sharing::Tenants => waiting == 0 && self.waiting < 2 * places,
        }
    }

    /// Lets somebody in: it waits until [`Fair::grant`] gives it a slot, which may be at once.
    pub(super) fn enter(&mut self, tenant: &Tenant, share: Share) -> Result<Number, Refusal> {
        self.look(tenant, share)?;
        self.forget();
        let number = self.next_number;
        self.next_number += 1;
        let now_served = self.now_served;
        let line = self
            .lines
            .entry(tenant.clone())
            .or_insert_with(|| Line::new(share));
        line.share = share;
        if line.is_idle() {
            line.service = line.service.max(now_served);
        }
        line.waiting.push_back(number);
        self.waiting += 1;
        Ok(number)
    }

    /// How many will have got a slot, about, when the turn of one comes who enters now: its tenant's own
    /// that wait, and of each other tenant as many as its weight allows meanwhile.
    pub(super) fn before(&self, tenant: &Tenant, share: Share) -> usize {
        if self.waiting == 0 {
            return 0;
        }
        let own = self.lines.get(tenant).map_or(0, |line| line.waiting.len());
        let turns = own as u64 + 1;
        let others = self.lines.iter().filter(|(other, _)| *other != tenant);
        let others = others.map(|(_, line)| {
            let weight = u64::from(line.share.weight.get());
            let meanwhile = turns.saturating_mul(weight) / u64::from(share.weight.get());
            line.waiting
                .len()
                .min(usize::try_from(meanwhile).unwrap_or(usize::MAX))
        });
        own + others.sum::<usize>()
    }

    /// Somebody does not want to wait any more; `false` where it did not.
    pub(super) fn leave(&mut self, tenant: &Tenant, number: Number) -> bool {
        let Some(line) = self.lines.get_mut(tenant) else {
            return false;
        };
        let Some(at) = line.waiting.iter().position(|waiting| *waiting == number) else {
            return false;
        };
        line.waiting.remove(at);
        self.waiting -= 1;
        true
    }

    /// A slot of this tenant will be given back in a moment.
    pub(super) fn promise(&mut self, tenant: &Tenant) {
        if let Some(line) = self.lines.get_mut(tenant) {
            line.promised += 1;
            self.promised += 1;
        }
    }

    /// A slot is given back that this tenant has held since `since`.
    pub(super) fn release(
        &mut self,
        tenant: &Tenant,
        since: Duration,
        was_promised: bool,
        now: Duration,
    ) {
        let Some(line) = self.lines.get_mut(tenant) else {
            return;
        };
        line.end(since, now);
        self.running -= 1;
        if was_promised {
            line.promised -= 1;
            self.promised -= 1;
        }
    }

    /// Gives a slot to whose turn it is; `None` when none is free, or nobody who may wants one.
    pub(super) fn grant(&mut self, now: Duration) -> Option<(Tenant, Number)> {
        if self.running >= self.slots {
            return None;
        }
        let (_, tenant) = self
            .lines
            .iter()
            .filter(|(_, line)| line.is_eligible())
            .map(|(tenant, line)| ((line.service_at(now), line.waiting.front()), tenant))
            .min()?;
        let tenant = tenant.clone();
        let line = self.lines.get_mut(&tenant)?;
        let number = line.waiting.pop_front()?;
        self.now_served = self.now_served.max(line.service_at(now));
        line.begin(now);
        self.waiting -= 1;
        self.running += 1;
        Some((tenant, number))
    }

    /// How many of this tenant run and wait.
    #[cfg(test)]
    pub(super) fn of(&self, tenant: &Tenant) -> (usize, usize) {
        let line = self.lines.get(tenant);
        line.map_or((0, 0), |line| (line.running, line.waiting.len()))
    }

    /// Forgets those who want nothing, and would begin anew as they are. When there are too many all
    /// the same, all who want nothing: they gain what a few executions take.
    fn forget(&mut self) {
        if self.lines.len() < TENANTS_REMEMBERED_MAX {
            return;
        }
        let now_served = self.now_served;
        self.lines
            .retain(|_, line| !line.is_idle() || line.service > now_served);
        if self.lines.len() >= TENANTS_REMEMBERED_MAX {
            self.lines.retain(|_, line| !line.is_idle());
        }
    }
}

impl Line {
    fn new(share: Share) -> Self {
        Self {
            share,
            service: 0,
            running: 0,
            promised: 0,
            begun: Duration::ZERO,
            waiting: VecDeque::new(),
        }
    }

    fn is_idle(&self) -> bool {
        self.running == 0 && self.waiting.is_empty()
    }

    fn is_eligible(&self) -> bool {
        !self.waiting.is_empty() && self.running < self.share.concurrent
    }

    fn begin(&mut self, now: Duration) {
        self.service += self.weighed(GRANT_COST);
        self.running += 1;
        self.begun += now;
    }

    fn end(&mut self, since: Duration, now: Duration) {
        self.service += self.weighed(now.saturating_sub(since));
        self.running -= 1;
        self.begun = self.begun.saturating_sub(since);
    }

    /// What was charged, and what those that run have taken by now.
    fn service_at(&self, now: Duration) -> u128 {
        let running = u32::try_from(self.running).unwrap_or(u32::MAX);
        let taken = now.saturating_mul(running).saturating_sub(self.begun);
        self.service + self.weighed(taken)
    }

    fn weighed(&self, time: Duration) -> u128 {
        time.as_micros() * SCALE / u128::from(self.share.weight.get())
    }
}

#[cfg(test)]
#[path = "fair_tests.rs"]
mod tests;
