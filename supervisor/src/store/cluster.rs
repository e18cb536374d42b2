//! The store of a node of a cluster: what is shared changes by its log.

use std::fmt;
use std::sync::Arc;

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::Connection;
use tokio::time::{sleep, timeout};

use super::doomed::Adoption;
use super::error::StoreError;
use super::maintenance::{self, RESTARTED};
use super::record::{ExecutionId, FailureKind, View};
use super::replica;
use super::write::Write;
use super::{Retention, Store};
use crate::heaps::HeapId;
use crate::limits::{
    ABANDONED_AT_ONCE, CHANGE_UNIT_BYTES, CHANGE_UNITS, CHANGE_WAIT_MAX, END_PATIENCE,
    END_PATIENCE_IN_HURRY,
};
use crate::quota::Member;
use crate::raft::command::{Command, Ended, Outcome};
use crate::raft::core::Failure;
use crate::raft::ids::RaftId;
use crate::tenant::Tenant;

/// What people are told of an execution whose end could not be recorded.
const LOST: &str = "the execution ended while its cluster could record nothing, and its end is lost; run \
                    it again";

fn failed(error: &str) -> Ended {
    Ended::Failed {
        kind: FailureKind::Server.name().to_owned(),
        error: error.to_owned(),
        error_truncated: false,
    }
}

/// Ends what a node is running and all nodes know of, in changes that each keep nobody waiting for long.
fn abandon(
    connection: &Connection,
    owner: RaftId,
    (at_us, error): (i64, &str),
) -> Result<Vec<Command>, StoreError> {
    let named = replica::named_of(connection, owner)?;
    let parts = named.chunks(ABANDONED_AT_ONCE).map(<[_]>::to_vec);
    let commands = parts.map(|executions| Command::Abandon {
        executions,
        at_us,
        error: error.to_owned(),
    });
    Ok(commands.collect())
}

/// Has all nodes of a cluster make a change.
#[async_trait]
pub trait Replicate: fmt::Debug + Send + Sync {
    /// Makes it, or says that it was not made, or that nobody knows. Afterwards this store shows it.
    ///
    /// # Errors
    /// [`Failure`].
    async fn replicate(&self, command: Command) -> Result<Outcome, Failure>;

    /// The same for so long: it is asked for again while it was not made, or nobody knows. It is made once
    /// all the same.
    ///
    /// # Errors
    /// [`Failure`].
    async fn replicate_within(
        &self,
        command: Command,
        patience: Duration,
    ) -> Result<Outcome, Failure>;
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
            let mut commands = abandon(connection, owner, (at_us, RESTARTED))?;
            for mut execution in replica::unshared_of(connection, owner)? {
                execution.end = Some((at_us, failed(RESTARTED)));
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

    /// The executions of this node that have no end, each with the change that ends it as lost.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn unfinished_here(
        &self,
        now: Timestamp,
    ) -> Result<Vec<(ExecutionId, Command)>, StoreError> {
        let (owner, at_us) = (self.owner, now.as_microsecond());
        self.read_own(move |connection| {
            let unfinished = replica::unfinished_here(connection, owner)?.into_iter();
            let ended = unfinished.map(|mut execution| {
                execution.end = Some((at_us, failed(LOST)));
                let id = ExecutionId::from_key(execution.id);
                (id, Command::End(Box::new(execution), None))
            });
            Ok(ended.collect())
        })
        .await
    }

    /// The nodes that have executions which have not ended, as far as all nodes know of those.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn owners_at_work(&self) -> Result<Vec<RaftId>, StoreError> {
        self.read_own(|connection| replica::owners_at_work(connection))
            .await
    }

    /// What a node is running, as far as all nodes know of it, as changes that end it. What it begins from
    /// now on is not meant.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn abandoned(
        &self,
        owner: RaftId,
        now: Timestamp,
        error: &'static str,
    ) -> Result<Vec<Command>, StoreError> {
        let at_us = now.as_microsecond();
        self.read_own(move |connection| abandon(connection, owner, (at_us, error)))
            .await
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
        let Some(node) = self.node.get() else {
            return self.write(tenant, Write::Change(command)).await;
        };
        let _turn = self.turn(tenant, &command, CHANGE_WAIT_MAX).await?;
        Ok(node.replicate(command).await?)
    }

    /// The same of an end, which nobody could ask for again: a node that has too much to do, and a cluster
    /// without a leader, are waited for, as long as the server is not about to end.
    pub(super) async fn record_end(&self, tenant: &Tenant, end: Command) -> Result<(), StoreError> {
        let Some(node) = self.node.get() else {
            self.write(tenant, Write::Change(end)).await?;
            return Ok(());
        };
        let recorded = async {
            let _turn = self.turn(tenant, &end, END_PATIENCE).await?;
            Ok(node.replicate_within(end, END_PATIENCE).await?)
        };
        let too_late = async {
            self.hurry.cancelled().await;
            sleep(END_PATIENCE_IN_HURRY).await;
        };
        let outcome: Result<Outcome, StoreError> = tokio::select! {
            outcome = recorded => outcome,
            () = too_late => Err(Failure::Unknown.into()),
        };
        match outcome? {
            Outcome::AlreadyEnded => Err(StoreError::EndedByOthers),
            _ => Ok(()),
        }
    }

    /// The server is about to end: nobody waits long for a cluster that decides nothing. What is not recorded
    /// now, this node tells when it is back ([`Store::left_behind`]).
    pub fn hurry(&self) {
        self.hurry.cancel();
    }

    /// The same for the server itself.
    pub(super) async fn change_own(&self, command: Command) -> Result<Outcome, StoreError> {
        let Some(node) = self.node.get() else {
            return self.write_own(Write::Change(command)).await;
        };
        let turn = timeout(CHANGE_WAIT_MAX, self.changes.own_turn()).await;
        let _turn = turn
            .map_err(|_| Failure::Overloaded)?
            .ok_or(StoreError::Closed)?;
        Ok(node.replicate(command).await?)
    }

    /// Waits until a tenant may ask the node for one more change. What it asks for counts by its size: it
    /// waits in the memory of the node, as those of all tenants do.
    async fn turn(
        &self,
        tenant: &Tenant,
        command: &Command,
        patience: Duration,
    ) -> Result<Member, StoreError> {
        // One that is alone may have half of it.
        let units = (1 + command.size() / CHANGE_UNIT_BYTES).min(CHANGE_UNITS / 2);
        let turn = timeout(patience, self.changes.turn_with(tenant, units)).await;
        turn.map_err(|_| Failure::Overloaded)?
            .ok_or(StoreError::Closed)
    }

    /// Has all nodes write down a heap that is about to be put, if it is doomed here: nobody removes it from
    /// then on.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn revive_heap(
        &self,
        tenant: Tenant,
        (heap, stored_bytes): (HeapId, u64),
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let adoption = Adoption::new(tenant.clone(), (heap, stored_bytes), at);
        let command = adoption.command();
        let is_doomed = self.read(tenant.clone(), move |connection, _| {
            Ok(adoption.is_doomed(connection)?)
        });
        if is_doomed.await? {
            self.change(&tenant, command).await?;
        }
        Ok(())
    }

    /// Has all nodes write down a heap that is stored and that none of them knows, as used long ago: it
    /// goes like any other.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn note_orphan(
        &self,
        tenant: Tenant,
        (heap, stored_bytes): (HeapId, u64),
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let adoption = Adoption::new(tenant, (heap, stored_bytes), at);
        self.change_own(adoption.command()).await?;
        Ok(())
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
