//! The one thread that writes, and how it gathers writes into transactions.
//!
//! A write that nobody waits for is held back for up to [`limits::WRITER_LINGER`], so that it can
//! share a transaction; one that somebody waits for is committed as soon as no more are at hand. So
//! a short execution costs one commit, and a busy server one for many executions.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::Retention;
use super::error::StoreError;
use super::maintenance::{self, Cutoff};
use super::place::{OwnerLock, Place};
use super::replica::Replica;
use super::replication::SharedOrder;
use super::write::{Rule, Write};
use crate::limits;
use crate::metrics::StoreFigures;
use crate::quota::Member;
use crate::raft::command::Outcome;
use crate::raft::ids::RaftId;

/// Somebody who waits for a commit, and wants to know whether it changed anything.
pub(super) type Waiter = oneshot::Sender<Result<Outcome, StoreError>>;

/// What the writer is told.
#[derive(Debug)]
pub(super) enum Order {
    /// Write this; nobody waits.
    Write(Write),
    /// Write this and say when it is committed.
    WriteNow(Write, Waiter),
    /// Do this with what is shared.
    Shared(SharedOrder),
    /// Say when everything before is committed.
    Flush(Waiter),
    /// The same, then stop.
    Close(Waiter),
}

/// What waits for the writer, with its place in the queue.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) order: Order,
    /// `None` of the thread of a cluster's node, which has a place of its own.
    pub(super) _place: Option<Member>,
}

/// The thread's belongings.
pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) orders: mpsc::Receiver<Queued>,
    pub(super) place: Place,
    pub(super) lock: OwnerLock,
    pub(super) owner: RaftId,
    pub(super) rule: Rule,
    pub(super) retention: Retention,
    /// The last failure, until a write succeeds.
    pub(super) health: watch::Sender<Option<StoreError>>,
    pub(super) figures: StoreFigures,
}

/// Orders that are committed together.
#[derive(Default)]
struct Batch {
    writes: Vec<(Write, Option<Waiter>)>,
    flushes: Vec<Waiter>,
    /// What is done after the writes.
    shared: Option<SharedOrder>,
    close: Option<Waiter>,
    bytes: usize,
}

impl Batch {
    fn add(&mut self, queued: Queued) {
        match queued.order {
            Order::Write(write) => self.push(write, None),
            Order::WriteNow(write, waiter) => self.push(write, Some(waiter)),
            Order::Shared(order) => self.shared = Some(order),
            Order::Flush(waiter) => self.flushes.push(waiter),
            Order::Close(waiter) => self.close = Some(waiter),
        }
    }

    fn push(&mut self, write: Write, waiter: Option<Waiter>) {
        self.bytes = self.bytes.saturating_add(write.size());
        self.writes.push((write, waiter));
    }

    fn is_full(&self) -> bool {
        self.writes.len() + self.flushes.len() >= limits::WRITER_BATCH_LENGTH_MAX
            || self.bytes >= limits::WRITER_BATCH_BYTES_MAX
    }

    fn is_awaited(&self) -> bool {
        self.close.is_some()
            || !self.flushes.is_empty()
            || self.writes.iter().any(|(_, waiter)| waiter.is_some())
    }
}

/// When the next upkeep is due, and what of the last one is left.
struct Upkeep {
    due: Instant,
    removal: Option<Cutoff>,
}

impl Writer {
    /// Serves until it is closed, or until every handle is dropped.
    pub(super) async fn serve(mut self) {
        let mut upkeep = Upkeep {
            due: Instant::now() + limits::MAINTENANCE_INTERVAL,
            removal: self.find_expired(),
        };
        loop {
            let first = tokio::select! {
                biased;
                order = self.orders.recv() => order,
                () = sleep_until(upkeep.due) => {
                    self.keep_up(&mut upkeep);
                    continue;
                }
                // Removal goes on between batches, a bounded step at a time.
                () = std::future::ready(()), if upkeep.removal.is_some() => {
                    self.remove_some(&mut upkeep);
                    continue;
                }
            };
            let Some(first) = first else { break };
            let batch = self.gather(first).await;
            let closing = self.commit(batch);
            if let Some(waiter) = closing {
                self.leave();
                let _ = waiter.send(Ok(Outcome::Done));
                return;
            }
            if self.is_failing() {
                let soon = Instant::now() + limits::STORE_PROBE_INTERVAL;
                upkeep.due = upkeep.due.min(soon);
            }
        }
        self.leave();
    }

    async fn gather(&mut self, first: Queued) -> Batch {
        let mut batch = Batch::default();
        batch.add(first);
        let linger_until = Instant::now() + limits::WRITER_LINGER;
        while !batch.is_full() && batch.close.is_none() && batch.shared.is_none() {
            if let Ok(order) = self.orders.try_recv() {
                batch.add(order);
            } else if batch.is_awaited() {
                break;
            } else {
                match timeout_at(linger_until, self.orders.recv()).await {
                    Ok(Some(order)) => batch.add(order),
                    Ok(None) | Err(_) => break,
                }
            }
        }
        batch
    }

    /// Commits a batch and tells who waits. Gives back who waits for the close.
    fn commit(&mut self, batch: Batch) -> Option<Waiter> {
        let result = self.commit_writes(batch.writes);
        for waiter in batch.flushes {
            let _ = waiter.send(result.clone().map(|()| Outcome::Done));
        }
        if let Some(order) = batch.shared {
            order.obey(&mut self.connection);
        }
        batch.close
    }

    /// Whoever hears of a failure finds it in the store's health too.
    fn commit_writes(&mut self, writes: Vec<(Write, Option<Waiter>)>) -> Result<(), StoreError> {
        if writes.is_empty() {
            return Ok(());
        }
        self.figures.batch.count(writes.len());
        if let Ok(applied) = self.write_patiently(&writes) {
            self.set_health(None);
            for ((_, waiter), applied) in writes.into_iter().zip(applied) {
                if let Some(waiter) = waiter {
                    let _ = waiter.send(Ok(applied));
                }
            }
            return Ok(());
        }
        // One write may be to blame: each alone, so that the others are not lost with it. Patience
        // was had with all of them together.
        let mut result = Ok(());
        let _ = self.connection.busy_timeout(Duration::ZERO);
        for (write, waiter) in writes {
            let one = self.write(std::slice::from_ref(&(write, None)));
            if let Err(error) = &one {
                tracing::error!(%error, "a write to the session database was given up");
                self.figures.given_up.inc();
                self.set_health(Some(error.clone()));
                result = Err(error.clone());
            }
            if let Some(waiter) = waiter {
                let one = one.map(|applied| applied.first().copied().unwrap_or(Outcome::Done));
                let _ = waiter.send(one);
            }
        }
        let _ = self.connection.busy_timeout(limits::STORE_BUSY_TIMEOUT);
        result
    }

    fn write_patiently(
        &mut self,
        writes: &[(Write, Option<Waiter>)],
    ) -> Result<Vec<Outcome>, StoreError> {
        let mut tries_left = limits::WRITER_RETRIES;
        loop {
            match self.write(writes) {
                Ok(applied) => return Ok(applied),
                Err(error) if tries_left == 0 => return Err(error),
                Err(error) => {
                    tracing::warn!(%error, tries_left, "the session database did not take a write");
                    tries_left -= 1;
                    self.figures.retries.inc();
                    std::thread::sleep(limits::WRITER_RETRY_PAUSE);
                }
            }
        }
    }

    /// One transaction: all of them, or nothing.
    fn write(&mut self, writes: &[(Write, Option<Waiter>)]) -> Result<Vec<Outcome>, StoreError> {
        let began = Instant::now();
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let applied: Result<Vec<_>, _> = writes
            .iter()
            .map(|(write, _)| write.apply(&transaction, self.rule))
            .collect();
        let applied = applied?;
        let commands = writes.iter().map(|(write, _)| write.commands(self.rule));
        Replica::new(&transaction).count_on(commands.sum())?;
        transaction.commit()?;
        self.figures.commit.time(began.elapsed());
        Ok(applied)
    }

    fn set_health(&self, error: Option<StoreError>) {
        if error.is_some() || self.is_failing() {
            self.figures.trouble.set(i64::from(error.is_some()));
            self.health.send_replace(error);
        }
    }

    fn keep_up(&mut self, upkeep: &mut Upkeep) {
        self.place.touch(&self.lock);
        if self.is_failing() {
            // A write that changes nothing shows whether the trouble is over.
            let probed = self.connection.execute(
                "UPDATE owners SET lock_name = ?1 WHERE lock_name = ?1",
                [&self.lock.name],
            );
            self.set_health(probed.err().map(StoreError::from));
        } else if self.rule == Rule::Alone {
            let swept = maintenance::sweep_dead_owners(
                &mut self.connection,
                &self.place,
                self.owner,
                Timestamp::now(),
            );
            if let Err(error) = swept {
                tracing::warn!(%error, "executions of dead servers could not be ended");
            }
            upkeep.removal = self.find_expired();
        }
        upkeep.due = Instant::now() + self.pause();
    }

    fn is_failing(&self) -> bool {
        self.health.borrow().is_some()
    }

    fn pause(&self) -> Duration {
        if self.is_failing() {
            limits::STORE_PROBE_INTERVAL
        } else {
            limits::MAINTENANCE_INTERVAL
        }
    }

    /// In a cluster its leader says what expires.
    fn find_expired(&self) -> Option<Cutoff> {
        if self.rule == Rule::Cluster {
            return None;
        }
        maintenance::cutoff(&self.connection, self.retention, Timestamp::now())
            .inspect_err(|error| tracing::warn!(%error, "expired executions cannot be found"))
            .unwrap_or(None)
    }

    fn remove_some(&mut self, upkeep: &mut Upkeep) {
        let Some(cutoff) = upkeep.removal else { return };
        match maintenance::remove_some(&mut self.connection, cutoff) {
            Ok(removed) => {
                self.figures.expired.inc_by(removed.count);
                if removed.is_all {
                    upkeep.removal = None;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "expired executions could not be removed");
                upkeep.removal = None;
            }
        }
    }

    /// Signs off, so that nobody has to clear up after this server.
    fn leave(mut self) {
        let left = match self.rule {
            Rule::Alone => {
                maintenance::sign_off(&mut self.connection, self.owner, Timestamp::now())
            }
            // What it leaves unfinished, the log tells of when it is back.
            Rule::Cluster => maintenance::sign_off_node(&self.connection, &self.lock.name),
        };
        if let Err(error) = left {
            tracing::warn!(%error, "this server could not sign off in its database");
        }
        // The last connection of all servers takes the journal with it.
        if let Err((_, error)) = self.connection.close() {
            tracing::warn!(%error, "the session database did not close in good order");
        }
        self.lock.remove();
        self.place.leave();
    }
}
