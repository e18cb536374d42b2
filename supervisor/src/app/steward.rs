//! What a node does for its cluster beside what it is asked.
//!
//! ```text
//! every node   what it ran when it ended last is ended; what outlives a second is made known
//! the leader   what dead nodes ran is ended; what is kept no longer is forgotten
//! ```

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::executions::{Live, Shared};
use super::nodes::Nodes;
use super::reconcile::reconcile;
use crate::cluster::{Role, Standing};
use crate::limits::{
    ANNOUNCE_AGE, ANNOUNCE_INTERVAL, ANNOUNCED_AT_ONCE, CATCH_UP_PAUSE, EXPIRY_INTERVAL,
    EXPIRY_ROUNDS, NODE_SILENCE_MAX, STEWARD_INTERVAL,
};
use crate::raft::core::Failure;
use crate::raft::ids::RaftId;
use crate::store::{ExecutionId, Retention, Store, StoreError, View};
use crate::tenant::Tenant;

/// What people are told of an execution whose node is not heard any more.
const NODE_SILENT: &str = "the node that ran it is not heard any more; run it again";
/// The same of one that has left.
const NODE_LEFT: &str = "the node that ran it has left the cluster; run it again";

/// Who looks after executions.
#[derive(Debug, Clone)]
pub(super) struct Steward {
    pub(super) nodes: Arc<Nodes>,
    pub(super) store: Store,
    pub(super) retention: Retention,
}

impl Steward {
    /// Begins with all of it, until the server ends.
    pub(super) fn begin(self, shared: &Arc<Shared>) {
        let stop = || shared.stop.token().clone();
        let announcing = self.clone().announce(Arc::downgrade(shared));
        let nodes = Arc::clone(&self.nodes);
        let minding = async move { tokio::join!(nodes.mind_leader(), nodes.mind_certainty()).0 };
        let reconciling = reconcile(self.store.clone(), Arc::downgrade(shared));
        let tending = self.tend();
        shared
            .tasks
            .spawn(stop().run_until_cancelled_owned(minding));
        shared
            .tasks
            .spawn(stop().run_until_cancelled_owned(announcing));
        shared
            .tasks
            .spawn(stop().run_until_cancelled_owned(reconciling));
        shared
            .tasks
            .spawn(stop().run_until_cancelled_owned(tending));
    }

    /// Makes known what has not ended after a while.
    async fn announce(self, shared: Weak<Shared>) {
        let mut looks = interval(ANNOUNCE_INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut under_way, mut told_of) = (FuturesUnordered::new(), HashSet::new());
        loop {
            let told = tokio::select! {
                _ = looks.tick() => None,
                Some(told) = under_way.next() => Some(told),
            };
            let Some(shared) = shared.upgrade() else {
                return;
            };
            let Some((id, told)) = told else {
                for view in unannounced(&shared.live(), &told_of) {
                    let (store, id) = (self.store.clone(), view.id);
                    told_of.insert(id);
                    under_way.push(async move { (id, store.announce(view).await) });
                }
                continue;
            };
            told_of.remove(&id);
            match told {
                // Others can still ask this node for it.
                Err(error) => tracing::debug!(%id, %error, "an execution was not made known"),
                Ok(()) => note_announced(&mut shared.live(), id),
            }
        }
    }

    async fn tend(self) {
        self.end_own().await;
        self.nodes.note_caught_up();
        tracing::info!("this node is up with its cluster");
        let mut leads = Leads::default();
        let mut looks = interval(STEWARD_INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut expired_at = Instant::now();
        loop {
            looks.tick().await;
            let Some(since) = leads.since(&self.nodes) else {
                continue;
            };
            if let Err(problem) = self.give_up_the_dead(since).await {
                tracing::debug!(%problem, "what dead nodes have left could not be ended");
            }
            if expired_at.elapsed() >= EXPIRY_INTERVAL {
                expired_at = Instant::now();
                if let Err(problem) = self.forget_the_old().await {
                    tracing::debug!(%problem, "old executions could not be forgotten");
                }
            }
        }
    }

    /// Ends what this node ran when it ended last, and waits until it knows what others know. It is tried
    /// for as long as it takes: nothing is accepted before.
    async fn end_own(&self) {
        loop {
            match self.try_end_own().await {
                Ok(()) => return,
                Err(problem) => {
                    tracing::debug!(%problem, "this node is not up with its cluster yet");
                    sleep(CATCH_UP_PAUSE).await;
                }
            }
        }
    }

    async fn try_end_own(&self) -> Result<(), Problem> {
        self.nodes.handle.read_barrier().await?;
        for command in self.store.left_behind(Timestamp::now()).await? {
            self.nodes.handle.propose(&command).await?;
        }
        self.nodes.handle.read_barrier().await?;
        Ok(())
    }

    /// Ends what nodes ran that have left, or that this leader has not heard for long. A leader that is new
    /// has heard nobody yet.
    async fn give_up_the_dead(&self, leads_since: Instant) -> Result<(), Problem> {
        let owners = self.store.owners_at_work().await?;
        if owners.iter().all(|owner| *owner == self.nodes.me) {
            return Ok(());
        }
        // A leader that stood still may be none any more, and has not heard what was said meanwhile.
        self.nodes.handle.read_barrier().await?;
        for owner in owners {
            let why = if owner == self.nodes.me {
                continue;
            } else if !self.nodes.is_member(owner) {
                NODE_LEFT
            } else if self.silence(owner, leads_since) >= NODE_SILENCE_MAX {
                NODE_SILENT
            } else {
                continue;
            };
            tracing::warn!(node = %owner, why, "ending what a node was running");
            for abandon in self.store.abandoned(owner, Timestamp::now(), why).await? {
                self.nodes.handle.propose(&abandon).await?;
            }
        }
        Ok(())
    }

    fn silence(&self, node: RaftId, leads_since: Instant) -> Duration {
        let since_it_leads = leads_since.elapsed();
        let silences = self.nodes.hearing.silences();
        let heard = silences.into_iter().find(|(id, _)| *id == node);
        heard.map_or(since_it_leads, |(_, silent)| silent.min(since_it_leads))
    }

    async fn forget_the_old(&self) -> Result<(), Problem> {
        for _ in 0..EXPIRY_ROUNDS {
            let expired = self.store.expired(self.retention, Timestamp::now());
            let Some(expire) = expired.await? else { break };
            self.nodes.handle.propose(&expire).await?;
        }
        Ok(())
    }
}

/// Why the cluster was not served.
#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error(transparent)]
    Cluster(#[from] Failure),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Since when this node leads.
#[derive(Debug, Default)]
struct Leads(Option<(u64, Instant)>);

impl Leads {
    /// None when it does not.
    fn since(&mut self, nodes: &Nodes) -> Option<Instant> {
        let term = nodes.handle.look(|status| {
            let leads = status.role == Role::Leader && status.standing == Standing::Works;
            leads.then_some(status.term)
        });
        self.0 = match (term, self.0) {
            (None, _) => None,
            (Some(term), Some((since_term, since))) if term == since_term => Some((term, since)),
            (Some(term), _) => Some((term, Instant::now())),
        };
        self.0.map(|(_, since)| since)
    }
}

/// Those that are old enough, and that no other node knows of or is being told of.
fn unannounced(live: &Live, told_of: &HashSet<ExecutionId>) -> Vec<View> {
    let now = Timestamp::now();
    let is_old = |view: &View| {
        let age = now.duration_since(view.submitted_at);
        view.end.is_none() && age.unsigned_abs() >= ANNOUNCE_AGE
    };
    let executions = live.drivers.values();
    let unknown = executions.filter(|execution| !execution.is_announced);
    let views = unknown.map(|execution| execution.view.borrow());
    let old: Vec<View> = views
        .filter(|view| is_old(view))
        .map(|view| view.clone())
        .collect();
    next(old, told_of)
}

/// Of those that others do not know of, the oldest of each tenant, as many as it has places left: so none
/// waits for those of another one, however many these are and however long they take.
fn next(mut old: Vec<View>, told_of: &HashSet<ExecutionId>) -> Vec<View> {
    old.sort_by_key(|view| (view.submitted_at, view.id));
    let mut places: HashMap<Tenant, usize> = HashMap::new();
    for view in old.iter().filter(|view| told_of.contains(&view.id)) {
        *places.entry(view.tenant.clone()).or_default() += 1;
    }
    old.retain(|view| {
        if told_of.contains(&view.id) {
            return false;
        }
        let taken = places.entry(view.tenant.clone()).or_default();
        *taken += 1;
        *taken <= ANNOUNCED_AT_ONCE
    });
    old
}

fn note_announced(live: &mut Live, id: ExecutionId) {
    if let Some(execution) = live.drivers.get_mut(&id) {
        execution.is_announced = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::execution::driver;
    use crate::store::Limits;

    fn views(tenant: &str, count: usize) -> Vec<View> {
        let tenant: Tenant = tenant.parse().unwrap();
        let limits = Limits {
            heap_memory_max_mb: 8,
            execution_timeout_secs: 30,
        };
        let view = |_| driver::accepted(ExecutionId::random(), tenant.clone(), limits);
        (0..count).map(view).collect()
    }

    fn of(tenant: &str, views: &[View]) -> usize {
        let of = views.iter().filter(|view| view.tenant.name() == tenant);
        of.count()
    }

    #[test]
    fn a_flood_of_one_tenant_delays_no_other() {
        let flood = views("flood", 10 * ANNOUNCED_AT_ONCE);
        let quiet = views("quiet", 2);
        let all = [flood, quiet].concat();
        let first = next(all.clone(), &HashSet::new());
        assert_eq!(of("flood", &first), ANNOUNCED_AT_ONCE);
        assert_eq!(of("quiet", &first), 2);
        let oldest = all.iter().map(|view| view.submitted_at).min();
        assert_eq!(first.first().map(|view| view.submitted_at), oldest);
        // None of the first has been told of, and both have more.
        let told_of: HashSet<ExecutionId> = first.iter().map(|view| view.id).collect();
        let all = [all, views("quiet", 1), views("flood", 1)].concat();
        let second = next(all.clone(), &told_of);
        assert_eq!((of("flood", &second), of("quiet", &second)), (0, 1));
        // One place is free again.
        let mut told_of = told_of;
        let done = first.iter().find(|view| view.tenant.name() == "flood");
        told_of.remove(&done.unwrap().id);
        let left = all.into_iter().filter(|view| view.id != done.unwrap().id);
        assert_eq!(of("flood", &next(left.collect(), &told_of)), 1);
    }
}
