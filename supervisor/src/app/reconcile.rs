//! Whether the log and the drivers of this node say the same of its executions.
//!
//! * What has no driver any more and no end, because its cluster could not record one in time, is ended as
//!   lost. An end that is under way all the same comes first or is refused: there is one.
//! * What others have ended, because they took this node for dead, is stopped here too.

use std::sync::Weak;

use jiff::Timestamp;
use tokio::time::{MissedTickBehavior, interval};

use super::executions::{Live, Shared};
use super::nodes::Nodes;
use crate::limits::STEWARD_INTERVAL;
use crate::store::{CancelledBy, ExecutionId, Store, StoreError};
use crate::tenant::Tenant;

/// Looks now and then, from when the node is up with its cluster.
pub(super) async fn reconcile(store: Store, shared: Weak<Shared>) {
    let mut looks = interval(STEWARD_INTERVAL);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let Some(nodes) = shared.nodes().filter(|nodes| nodes.is_able()) else {
            continue;
        };
        if let Err(error) = end_the_lost(&store, nodes, &shared).await {
            tracing::debug!(%error, "executions without an end could not be ended");
        }
        if let Err(error) = stop_the_ended(&store, &shared).await {
            tracing::debug!(%error, "it could not be looked up which executions others have ended");
        }
    }
}

/// A driver is there before its row, and stays until the row has its end: so rows are read first.
async fn end_the_lost(store: &Store, nodes: &Nodes, shared: &Shared) -> Result<(), StoreError> {
    let mut lost = store.unfinished_here(Timestamp::now()).await?;
    {
        let live = shared.live();
        lost.retain(|(id, _)| !live.drivers.contains_key(id));
    }
    for (id, end) in lost {
        tracing::warn!(%id, "an execution whose end could not be recorded is ended as lost");
        nodes.handle.propose(&end).await?;
    }
    Ok(())
}

async fn stop_the_ended(store: &Store, shared: &Shared) -> Result<(), StoreError> {
    let announced = announced(&shared.live());
    for (tenant, id) in announced {
        let stored = store.get(tenant, id).await?;
        if stored.is_none_or(|stored| stored.view.end.is_none()) {
            continue;
        }
        let mut live = shared.live();
        let execution = live.drivers.get_mut(&id);
        if let Some(cancel) = execution.and_then(|execution| execution.cancel.take()) {
            // A driver that does not listen any more has an end already.
            let _ = cancel.send(CancelledBy::Shutdown);
        }
    }
    Ok(())
}

/// Those that others know of, and that still run.
fn announced(live: &Live) -> Vec<(Tenant, ExecutionId)> {
    let executions = live.drivers.iter();
    let announced = executions
        .filter(|(_, execution)| execution.is_announced && execution.view.borrow().end.is_none());
    let named = announced.map(|(id, execution)| (execution.tenant.clone(), *id));
    named.collect()
}
