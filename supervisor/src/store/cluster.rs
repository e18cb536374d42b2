//! The store of a node of a cluster: what is shared changes by its log.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use super::doomed::Adoption;
use super::error::StoreError;
use super::keep::Keep;
use super::maintenance::{self, RESTARTED};
use super::record::{FailureKind, View};
use super::replica;
use super::write::Write;
use super::{Retention, Store};
use crate::limits::{END_PATIENCE, END_PAUSE};
use crate::raft::command::{Command, Ended, Outcome};
use crate::raft::core::Failure;
use crate::raft::ids::RaftId;
use crate::tenant::Tenant;

/// Has all nodes of a cluster make a change.
#[async_trait]
pub trait Replicate: fmt::Debug + Send + Sync {
    /// Makes it, or says that it was not made, or that nobody knows. Afterwards this store shows it.
    ///
    /// # Errors
    /// [`Failure`].
    async fn replicate(&self, command: Command) -> Result<Outcome, Failure>;
}

impl Store {
    /// Has changes of what is shared made by this node's cluster, from now on. Until then such changes
    /// fail.
    pub fn replicate_by(&self, node: Arc<dyn Replicate>) {
        // A second node would be another store's.
        let _ = self.node.set(node);
    }

    /// What this node ran when it ended last, as changes that end it. They are to be made before it runs
    /// anything new.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn left_behind(&self, now: Timestamp) -> Result<Vec<Command>, StoreError> {
        let (owner, at_us) = (self.owner, now.as_microsecond());
        self.read_own(move |connection| {
            let mut commands = vec![Command::Abandon {
                owner,
                at_us,
                error: RESTARTED.to_owned(),
            }];
            for mut execution in replica::unshared_of(connection, owner)? {
                let lost = Ended::Failed {
                    kind: FailureKind::Server.name().to_owned(),
                    error: RESTARTED.to_owned(),
                    error_truncated: false,
                };
                execution.end = Some((at_us, lost));
                commands.push(Command::End(Box::new(execution), None));
            }
            Ok(commands)
        })
        .await
    }

    /// Has all nodes know of an execution of this one that has not ended yet.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn announce(&self, view: View) -> Result<(), StoreError> {
        let tenant = view.tenant.clone();
        let begin = Command::Begin(Box::new(view.into_execution(self.owner)));
        self.change(&tenant, begin).await?;
        Ok(())
    }

    /// The nodes that have executions which have not ended, as far as all nodes know of those.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn owners_at_work(&self) -> Result<Vec<RaftId>, StoreError> {
        self.read_own(|connection| replica::owners_at_work(connection))
            .await
    }

    /// Records an end for good: what the cluster has no answer for now it is asked again. A node that is
    /// taken for dead meanwhile has its executions ended by others, and then this one does not count.
    pub(super) async fn commit_end(&self, view: View, kept: Option<Keep>) -> Result<(), StoreError> {
        let (tenant, id) = (view.tenant.clone(), view.id);
        let own = view.end.clone();
        let execution = Box::new(view.into_execution(self.owner));
        let kept = kept.map(|keep| Box::new(keep.into_kept()));
        let end = Command::End(execution, kept);
        let until = Instant::now() + END_PATIENCE;
        loop {
            match self.change(&tenant, end.clone()).await {
                Ok(Outcome::AlreadyEnded) => {
                    let stored = self.get(tenant, id).await?;
                    let is_own = stored.is_some_and(|stored| stored.view.end == own);
                    // It was recorded when nobody could say so.
                    return if is_own { Ok(()) } else { Err(StoreError::Ended) };
                }
                Ok(_) => return Ok(()),
                Err(StoreError::Cluster(Failure::Unknown | Failure::Overloaded))
                    if Instant::now() < until =>
                {
                    sleep(END_PAUSE).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The oldest executions that are kept no longer, as a change that forgets them; `None` when there are
    /// none. It is the leader's to make, from time to time.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn expired(
        &self,
        retention: Retention,
        now: Timestamp,
    ) -> Result<Option<Command>, StoreError> {
        self.read_own(move |connection| {
            let Some(cutoff) = maintenance::cutoff(connection, retention, now)? else {
                return Ok(None);
            };
            let expired = maintenance::expired(connection, cutoff)?;
            Ok((!expired.is_empty()).then_some(Command::Expire(expired)))
        })
        .await
    }

    /// Makes a change of what is shared on behalf of a tenant, and waits until it is committed.
    pub(super) async fn change(
        &self,
        tenant: &Tenant,
        command: Command,
    ) -> Result<Outcome, StoreError> {
        match self.node.get() {
            Some(node) => Ok(node.replicate(command).await?),
            None => self.write(tenant, Write::Change(command)).await,
        }
    }

    /// The same for the server itself.
    pub(super) async fn change_own(&self, command: Command) -> Result<Outcome, StoreError> {
        match self.node.get() {
            Some(node) => Ok(node.replicate(command).await?),
            None => self.write_own(Write::Change(command)).await,
        }
    }

    /// Which heaps are doomed is a node's own: those of this one are asked.
    pub(super) async fn adopt(&self, adoption: Adoption) -> Result<Outcome, StoreError> {
        let tenant = adoption.tenant.clone();
        if self.node.get().is_none() {
            return self.write(&tenant, Write::Adopt(adoption)).await;
        }
        let command = adoption.command();
        let is_doomed = self.read(tenant.clone(), move |connection, _| {
            Ok(adoption.is_doomed(connection)?)
        });
        if is_doomed.await? {
            return Ok(Outcome::Missing);
        }
        self.change(&tenant, command).await
    }
}
