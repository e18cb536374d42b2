//! What a node does for its cluster beside what it is asked.
//!
//! ```text
//! every node   what it ran when it ended last is ended; what outlives a second is made known
//! the leader   what dead nodes ran is ended; what is kept no longer is forgotten
//! ```

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::join_all;
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
        loop {
            looks.tick().await;
            let Some(old) = shared
                .upgrade()
                .map(|shared| unannounced(&mut shared.live()))
            else {
                return;
            };
            let told = join_all(old.into_iter().map(async |view| {
                let id = view.id;
                (id, self.store.announce(view).await)
            }));
            for (id, told) in told.await {
                match told {
                    // Others can still ask this node for it.
                    Err(error) => tracing::debug!(%id, %error, "an execution was not made known"),
                    Ok(()) => {
                        let Some(shared) = shared.upgrade() else {
                            return;
                        };
                        note_announced(&mut shared.live(), id);
                    }
                }
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

/// Those that are old enough, and that no other node knows of.
fn unannounced(live: &mut Live) -> Vec<View> {
    let now = Timestamp::now();
    let is_old = |view: &View| {
        let age = now.duration_since(view.submitted_at);
        view.end.is_none() && age.unsigned_abs() >= ANNOUNCE_AGE
    };
    let executions = live.drivers.values();
    let unknown = executions.filter(|execution| !execution.is_announced);
    let views = unknown.map(|execution| execution.view.borrow());
    views
        .filter(|view| is_old(view))
        .take(ANNOUNCED_AT_ONCE)
        .map(|view| view.clone())
        .collect()
}

fn note_announced(live: &mut Live, id: ExecutionId) {
    if let Some(execution) = live.drivers.get_mut(&id) {
        execution.is_announced = true;
    }
}
