//! This server as a node of a cluster: what its use cases need of that.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::error::{Error, Unavailable};
use super::executions::Shared;
use super::question::{self, Asked, Question, Told};
use super::readiness::CheckState;
use crate::cluster::handle::Handle;
use crate::cluster::{Call, Hearing, Member, Phone, QuestionKind, Standing, Status};
use crate::limits::{
    CATCH_UP_PATIENCE, CERTAINTY_AGE_MAX, CERTAINTY_INTERVAL, ELECTION_PATIENCE, QUESTION_PATIENCE,
};
use crate::raft::core::Failure;
use crate::raft::ids::RaftId;
use crate::store::ExecutionId;
use crate::tenant::Tenant;

/// How much of its cluster a use case looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Reach {
    /// What was certain anywhere when it was asked is seen.
    #[default]
    Certain,
    /// What this node knows of the others is enough.
    Local,
    /// This node alone is looked at: another one asks.
    Here,
}

/// This node, and the way to the others.
#[derive(Debug)]
pub(super) struct Nodes {
    pub(super) handle: Handle,
    pub(super) phone: Phone,
    pub(super) hearing: Hearing,
    pub(super) me: RaftId,
    /// Until it has left.
    member: tokio::sync::Mutex<Option<Member>>,
    /// What it was running before is ended, and it knows what the others know.
    is_caught_up: watch::Sender<bool>,
    /// When it last knew for certain what its cluster knew.
    certain_at: Mutex<Instant>,
    /// Since when there is no leader, as far as this node knows.
    leaderless: Mutex<Option<Instant>>,
}

impl Nodes {
    pub(super) fn new(member: Member, phone: Phone, me: RaftId) -> Self {
        Self {
            handle: member.handle(),
            phone,
            hearing: member.hearing(),
            me,
            member: tokio::sync::Mutex::new(Some(member)),
            is_caught_up: watch::Sender::new(false),
            certain_at: Mutex::new(Instant::now()),
            leaderless: Mutex::new(Some(Instant::now())),
        }
    }

    /// Waits until this node knows what the others know.
    pub(super) async fn known_to_be_up(&self) {
        let mut caught_up = self.is_caught_up.subscribe();
        // It is never dropped while somebody has this.
        let _ = caught_up.wait_for(|is| *is).await;
    }

    pub(super) fn note_caught_up(&self) {
        self.is_caught_up.send_replace(true);
    }

    /// Takes note of whether there is a leader, for as long as the node runs.
    pub(super) async fn mind_leader(&self) {
        let mut status = self.handle.watch();
        loop {
            let has_leader = status.borrow_and_update().leader.is_some();
            {
                let mut leaderless = self.leaderless();
                *leaderless = match *leaderless {
                    _ if has_leader => None,
                    None => Some(Instant::now()),
                    since => since,
                };
            }
            if status.changed().await.is_err() {
                return;
            }
        }
    }

    /// Asks now and then whether it can know what its cluster knows: a node may hear its leader and not be
    /// heard by it.
    pub(super) async fn mind_certainty(&self) {
        loop {
            sleep(CERTAINTY_INTERVAL).await;
            if self.handle.read_barrier().await.is_ok() {
                *self.certain_at() = Instant::now();
            }
        }
    }

    fn certain_at(&self) -> MutexGuard<'_, Instant> {
        self.certain_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn leaderless(&self) -> MutexGuard<'_, Option<Instant>> {
        self.leaderless
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is worth to wait for the cluster: an election takes a moment, and one that has taken
    /// longer has too few who vote.
    pub(super) fn look(&self) -> Result<(), Error> {
        let leaderless = *self.leaderless();
        if leaderless.is_some_and(|since| since.elapsed() >= ELECTION_PATIENCE) {
            return Err(self.unavailable());
        }
        Ok(())
    }

    /// Waits until this node shows all that was certain in its cluster when this was called.
    pub(super) async fn catch_up(&self) -> Result<(), Error> {
        self.look()?;
        let caught_up = timeout(CATCH_UP_PATIENCE, self.handle.read_barrier()).await;
        let caught_up = caught_up.unwrap_or(Err(Failure::Unknown));
        caught_up.map_err(|_| self.unavailable())
    }

    /// Waits until executions can be accepted: their ends could be recorded.
    pub(super) async fn admit(&self) -> Result<(), Error> {
        if self.is_able() {
            return Ok(());
        }
        self.look()?;
        let able = async {
            let mut caught_up = self.is_caught_up.subscribe();
            let mut status = self.handle.watch();
            let up = caught_up.wait_for(|is| *is).await.is_ok();
            up && status.wait_for(works).await.is_ok()
        };
        match timeout(CATCH_UP_PATIENCE, able).await {
            Ok(true) if self.is_able() => Ok(()),
            Ok(_) | Err(_) => Err(self.unavailable()),
        }
    }

    /// How it stands.
    pub(super) fn check(&self) -> CheckState {
        if self.is_able() {
            CheckState::Ok
        } else {
            CheckState::Failing
        }
    }

    /// Whether ends of executions can be recorded, as far as it knows.
    pub(super) fn is_able(&self) -> bool {
        let is_certain = self.certain_at().elapsed() < CERTAINTY_AGE_MAX;
        is_certain && *self.is_caught_up.borrow() && self.handle.look(works)
    }

    fn unavailable(&self) -> Error {
        let problem = match self.handle.look(|status| status.standing) {
            Standing::Works if self.handle.leader().is_none() => {
                "it has no leader, because too few of its nodes can reach each other"
            }
            Standing::Works if !*self.is_caught_up.borrow() => "this node has not caught up yet",
            Standing::Works => "it did not answer in time",
            Standing::DiskFull => "the disk of this node is full",
            Standing::Failed | Standing::Stopped(_) => "this node takes no part in it any more",
        };
        Error::Unavailable(Unavailable::Cluster { problem })
    }

    /// The other node that an execution is of, as its name shows, if it is a member.
    pub(super) fn maker(&self, id: ExecutionId) -> Option<RaftId> {
        let members = self.phone.others();
        let mut ids = members.iter().map(|member| member.id);
        ids.find(|node| id.is_of(*node))
    }

    /// Whether this other node is a member.
    pub(super) fn is_member(&self, node: RaftId) -> bool {
        let members = self.phone.others();
        members.iter().any(|member| member.id == node)
    }

    /// Asks another node about an execution.
    pub(super) async fn ask(
        &self,
        node: RaftId,
        about: (&Tenant, ExecutionId),
        (asked, wait): (Asked, Duration),
    ) -> Result<Told, Error> {
        let (tenant, id) = about;
        let kind = kind(&asked);
        let question = question::encode(&Question {
            tenant: tenant.name().to_owned(),
            id: id.key(),
            asked,
        });
        let call = Call {
            tenant: tenant.clone(),
            kind,
            question: Bytes::from(question.unwrap_or_default()),
            patience: wait + QUESTION_PATIENCE,
        };
        let answer = self.phone.ask(node, call).await;
        let unreachable = |problem: String| {
            Error::Unavailable(Unavailable::Node {
                node: self.name(node),
                problem,
            })
        };
        let answer = answer.map_err(|error| unreachable(error.to_string()))?;
        match question::decode(&answer) {
            Ok(Told::Refused(refused)) => Err(refused.into_error(id, &self.name(node))),
            Ok(told) => Ok(told),
            Err(error) => Err(unreachable(error.to_string())),
        }
    }

    fn name(&self, node: RaftId) -> String {
        let members = self.phone.others();
        let found = members.into_iter().find(|member| member.id == node);
        found.map_or_else(|| node.to_string(), |member| member.name)
    }

    /// Has another node lead, and takes no part any more.
    pub(super) async fn leave(&self) {
        if let Some(member) = self.member.lock().await.take() {
            member.stop().await;
        }
    }
}

/// What a question is to those that others ask.
const fn kind(asked: &Asked) -> QuestionKind {
    match asked {
        Asked::View { wait_ms: 0 } | Asked::Output(_) | Asked::Source => QuestionKind::Quick,
        Asked::View { .. } | Asked::Growth { .. } => QuestionKind::Long,
        Asked::Cancel => QuestionKind::Decisive,
    }
}

fn works(status: &Status) -> bool {
    status.standing == Standing::Works && status.leader.is_some()
}

impl Shared {
    /// This server as a node; none when it is alone.
    pub(super) fn nodes(&self) -> Option<&Arc<Nodes>> {
        self.nodes.get()
    }
}

/// What becomes of a change that the cluster did not say it has made.
pub(super) fn undecided(failure: Failure) -> Error {
    Error::Unavailable(match failure {
        Failure::Overloaded => Unavailable::Cluster {
            problem: "too many changes wait",
        },
        Failure::Refused(refusal) => {
            tracing::error!(%refusal, "the leader does not take a change");
            Unavailable::Cluster {
                problem: "its leader does not take this change",
            }
        }
        Failure::Unknown => Unavailable::Undecided {
            problem: "it did not answer in time",
        },
        Failure::Stopped => Unavailable::Undecided {
            problem: "this node takes no part in it any more",
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_something_is_none_of_those_that_wait() {
        assert_eq!(kind(&Asked::Cancel), QuestionKind::Decisive);
        assert_eq!(kind(&Asked::Source), QuestionKind::Quick);
        assert_eq!(kind(&Asked::View { wait_ms: 0 }), QuestionKind::Quick);
        assert_eq!(kind(&Asked::View { wait_ms: 1 }), QuestionKind::Long);
        assert_eq!(kind(&Asked::Growth { seen: 0 }), QuestionKind::Long);
    }
}
