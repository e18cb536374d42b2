//! What a node's thread tells those who wait, and everybody else.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{oneshot, watch};

use super::control::Role;
use crate::raft::command::Outcome;
use crate::raft::core::{Begin, Core, Failure, ReadId, Stop};
use crate::raft::ids::{RaftId, RequestId};
use crate::raft::log::ConfState;
use crate::raft::state::Members;

/// What a node's thread is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It takes part.
    Works,
    /// It takes no part until its disk has room.
    DiskFull,
    /// It takes no part any more.
    Stopped(Option<Stop>),
    /// It takes no part any more, and the process must end: nobody knows what is on its disk.
    Failed,
}

/// How a node sees its cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// The node.
    pub id: RaftId,
    /// What its thread is about.
    pub standing: Standing,
    /// What it does.
    pub role: Role,
    /// The term.
    pub term: u64,
    /// Who leads, as far as it knows.
    pub leader: Option<RaftId>,
    /// The last entry that is known to be committed.
    pub committed: u64,
    /// The last entry that is applied.
    pub applied: u64,
    /// The last entry of its log.
    pub last: u64,
    /// The entry before the first of its log.
    pub base: u64,
    /// The members.
    pub members: Members,
    /// Who votes, and who learns.
    pub conf: ConfState,
}

impl Status {
    /// Of a node that has not begun.
    pub(super) fn before(begin: &Begin) -> Self {
        Self {
            id: begin.me.id,
            standing: Standing::Works,
            role: Role::Candidate,
            term: begin.log.hard.term,
            leader: None,
            committed: begin.log.hard.commit,
            applied: begin.applied.index,
            last: begin.log.last_index(),
            base: begin.log.base.index,
            members: begin.members.clone(),
            conf: begin.conf.clone(),
        }
    }

    pub(super) fn of(core: &Core) -> Self {
        let conf = core.conf();
        let id = core.me().id;
        let role = if core.is_leader() {
            Role::Leader
        } else if conf.get_learners().contains(&id.get()) || conf.get_voters().is_empty() {
            Role::Learner
        } else if core.leader().is_some() {
            Role::Follower
        } else {
            Role::Candidate
        };
        Self {
            id,
            standing: Standing::Works,
            role,
            term: core.term(),
            leader: core.leader(),
            committed: core.committed(),
            applied: core.applied(),
            last: core.last().index,
            base: core.log().base().index,
            members: core.members().clone(),
            conf,
        }
    }
}

type Waiting<K, T> = HashMap<K, oneshot::Sender<Result<T, Failure>>>;

/// Those who wait, by what they wait for.
#[derive(Debug)]
struct Waiters<K, T>(Mutex<Waiting<K, T>>);

impl<K: Eq + Hash, T> Waiters<K, T> {
    fn new() -> Self {
        Self(Mutex::new(HashMap::new()))
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<K, T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, key: K) -> oneshot::Receiver<Result<T, Failure>> {
        let (waiter, answer) = oneshot::channel();
        self.lock().insert(key, waiter);
        answer
    }

    fn tell(&self, key: &K, answer: Result<T, Failure>) {
        if let Some(waiter) = self.lock().remove(key) {
            let _ = waiter.send(answer);
        }
    }

    fn fail(&self, failure: Failure) {
        for (_, waiter) in self.lock().drain() {
            let _ = waiter.send(Err(failure));
        }
    }
}

/// Where a node's thread writes what others read.
#[derive(Debug)]
pub(super) struct Board {
    answers: Waiters<RequestId, Outcome>,
    reads: Waiters<ReadId, ()>,
    status: watch::Sender<Status>,
}

impl Board {
    pub(super) fn new(status: Status) -> Self {
        Self {
            answers: Waiters::new(),
            reads: Waiters::new(),
            status: watch::Sender::new(status),
        }
    }

    pub(super) fn watch(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    pub(super) fn status(&self) -> watch::Ref<'_, Status> {
        self.status.borrow()
    }

    pub(super) fn applied(&self) -> u64 {
        self.status.borrow().applied
    }

    pub(super) fn standing(&self) -> Standing {
        self.status.borrow().standing
    }

    pub(super) fn await_answer(
        &self,
        id: RequestId,
    ) -> oneshot::Receiver<Result<Outcome, Failure>> {
        self.answers.add(id)
    }

    pub(super) fn await_read(&self, id: ReadId) -> oneshot::Receiver<Result<(), Failure>> {
        self.reads.add(id)
    }

    pub(super) fn forget_answer(&self, id: RequestId) {
        self.answers.lock().remove(&id);
    }

    pub(super) fn forget_read(&self, id: ReadId) {
        self.reads.lock().remove(&id);
    }

    pub(super) fn answer(&self, id: RequestId, answer: Result<Outcome, Failure>) {
        self.answers.tell(&id, answer);
    }

    pub(super) fn read_ready(&self, id: ReadId, answer: Result<(), Failure>) {
        self.reads.tell(&id, answer);
    }

    /// Nobody here will get an answer any more.
    pub(super) fn fail_all(&self, failure: Failure) {
        self.answers.fail(failure);
        self.reads.fail(failure);
    }

    /// Shows how the node stands, if that has changed.
    pub(super) fn show(&self, core: &Core) {
        let status = Status::of(core);
        self.status.send_if_modified(|shown| {
            let is_new = *shown != status;
            if is_new {
                *shown = status;
            }
            is_new
        });
    }

    /// Shows that the node takes no part.
    pub(super) fn show_standing(&self, standing: Standing) {
        self.status.send_modify(|shown| {
            shown.standing = standing;
            shown.leader = None;
        });
    }
}
