//! What members ask each other beside what belongs to the log: how an execution stands that another node
//! runs, and what it prints.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, StatusCode};
use tokio::time::{Instant, timeout_at};

use super::desk::Desk;
use super::line::{Answer, LineError, Question};
use super::lines::{Held, QuestionKind};
use super::routes::{self, ASK};
use crate::limits::PHONE_QUESTION_BYTES_MAX;
use crate::raft::core::Event;
use crate::raft::ids::{ClusterId, RaftId};
use crate::raft::request::Member;
use crate::tenant::Tenant;

/// Answers what other members ask of this node.
#[async_trait]
pub trait Answers: Send + Sync + 'static {
    /// The answer to a question, which comes from a member. It is dropped as soon as nobody waits for it
    /// any more. It has at most [`crate::limits::PHONE_ANSWER_BYTES_MAX`] bytes.
    async fn answer(&self, question: Bytes) -> Bytes;
}

/// What a member is asked.
#[derive(Debug, Clone)]
pub struct Call {
    /// On whose behalf: tenants take turns.
    pub tenant: Tenant,
    /// What it is.
    pub kind: QuestionKind,
    /// Its bytes.
    pub question: Bytes,
    /// How long its answer is waited for.
    pub patience: Duration,
}

/// Why another node gives no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PhoneError {
    /// There is no such member, as far as is known here.
    #[error("it is no member of this cluster")]
    Unknown,
    /// The question has more bytes than one may have.
    #[error("the question has more than {PHONE_QUESTION_BYTES_MAX} bytes")]
    TooLong,
    /// It cannot be reached, or does not show that it is the one that was asked.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// It does not answer in time, or too much is asked of it.
    #[error("it does not answer in time")]
    Late,
    /// It says no.
    #[error("{problem} (status {status})")]
    Refused {
        /// Its status.
        status: u16,
        /// What it says.
        problem: String,
    },
}

impl From<LineError> for PhoneError {
    fn from(error: LineError) -> Self {
        match error {
            LineError::Late => Self::Late,
            other => Self::Unreachable(other.to_string()),
        }
    }
}

/// Asks other members. Clones share their connections.
#[derive(Debug, Clone)]
pub struct Phone {
    desk: Arc<Desk>,
}

impl Phone {
    pub(super) const fn new(desk: Arc<Desk>) -> Self {
        Self { desk }
    }

    /// The cluster, from when this node is in one.
    pub fn cluster(&self) -> Option<ClusterId> {
        self.desk.local.cluster.get().copied()
    }

    /// The members beside this one, as far as is known here.
    pub fn others(&self) -> Vec<Member> {
        let mut members = self.desk.roster.members();
        members.retain(|member| member.id != self.desk.local.me.id);
        members
    }

    /// Asks a member, and waits for its answer. Where this is dropped, the other end stops to look for it.
    /// A question may be heard twice, when the connection breaks.
    ///
    /// # Errors
    /// [`PhoneError`].
    pub async fn ask(&self, to: RaftId, call: Call) -> Result<Bytes, PhoneError> {
        if call.question.len() > PHONE_QUESTION_BYTES_MAX {
            return Err(PhoneError::TooLong);
        }
        let until = Instant::now() + call.patience;
        let place = self.desk.place(to, (&call.tenant, call.kind), until);
        let mut held = place.await?;
        let question = Question {
            method: Method::POST,
            path: ASK,
            body: call.question,
            patience: until.saturating_duration_since(Instant::now()),
        };
        Ok(self.desk.ask(&mut held, to, &question).await?.body)
    }
}

impl Desk {
    /// Waits for a place for a question to a member.
    pub(super) async fn place(
        &self,
        to: RaftId,
        asked: (&Tenant, QuestionKind),
        until: Instant,
    ) -> Result<Held, PhoneError> {
        if to == self.local.me.id || !self.roster.has(to) {
            return Err(PhoneError::Unknown);
        }
        let place = self.lines.place(to, asked, |id| self.roster.has(id));
        let place = timeout_at(until, place).await;
        place.map_err(|_| PhoneError::Late)?.ok_or(PhoneError::Late)
    }

    /// Asks a member from this place.
    pub(super) async fn ask(
        &self,
        held: &mut Held,
        to: RaftId,
        question: &Question,
    ) -> Result<Answer, PhoneError> {
        let target = self.target(to).ok_or(PhoneError::Unknown)?;
        let line = self.line(&mut held.line, target);
        let answer = line.ask(question).await?;
        match answer.status {
            StatusCode::OK => return Ok(answer),
            StatusCode::GONE => self.tell(Event::ToldRemoved),
            _ => {}
        }
        Err(PhoneError::Refused {
            status: answer.status.as_u16(),
            problem: routes::shapes::problem(&answer.body),
        })
    }
}
