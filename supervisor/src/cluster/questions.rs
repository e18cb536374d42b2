//! What this node asks others before it is in their cluster.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, StatusCode};

use super::bootstrap::{Found, Seen};
use super::line::{Answer, Line, LineError, Question, Target};
use super::local::Local;
use super::name::Address;
use super::routes::shapes::{self, Hello, Join, Joined};
use super::routes::{HELLO, JOIN};
use crate::limits::{MEMBER_CHANGE_WAIT_MAX, PEER_QUESTION_WAIT_MAX};
use crate::raft::ids::ClusterId;
use crate::raft::request::Member;

/// Why there is no answer that helps.
#[derive(Debug, thiserror::Error)]
pub enum QuestionError {
    /// Nobody who can be believed answers.
    #[error("{0}")]
    NoAnswer(String),
    /// It says no.
    #[error("{problem} (status {status})")]
    Refused {
        /// Its status.
        status: u16,
        /// What it says.
        problem: String,
    },
    /// What it says makes no sense.
    #[error("what answers there is no node of this program")]
    Nonsense,
}

impl QuestionError {
    /// Whether the answer would be the same later.
    pub(super) fn is_final(&self) -> bool {
        match self {
            Self::NoAnswer(_) => false,
            Self::Refused { status, .. } => (400..500).contains(status),
            Self::Nonsense => true,
        }
    }
}

impl From<LineError> for QuestionError {
    fn from(error: LineError) -> Self {
        Self::NoAnswer(error.to_string())
    }
}

/// Who is at an address.
pub(super) async fn hello(local: &Arc<Local>, address: &Address) -> Result<Found, QuestionError> {
    let question = Question {
        method: Method::GET,
        path: HELLO,
        body: Bytes::new(),
        patience: PEER_QUESTION_WAIT_MAX,
    };
    let answer = ask(local, address, &question).await?;
    let hello: Hello = serde_json::from_slice(&answer.body).map_err(|_| QuestionError::Nonsense)?;
    let peer = shapes::peer(&hello.node_id, &hello.incarnation, &hello.addr);
    let peer = peer.ok_or(QuestionError::Nonsense)?;
    if answer.names.is_some_and(|names| !names.has(&peer.name)) {
        return Err(LineError::OtherName(peer.name).into());
    }
    let seen = match cluster(hello.cluster_id)? {
        Some(cluster) => Seen::Member {
            cluster,
            members: hello
                .members
                .iter()
                .map(|known| known.read().ok_or(QuestionError::Nonsense))
                .collect::<Result<_, _>>()?,
        },
        None => Seen::Fresh {
            proposal: cluster(hello.proposal)?,
        },
    };
    Ok(Found { peer, seen })
}

/// A cluster that is named has to have a name.
fn cluster(text: Option<String>) -> Result<Option<ClusterId>, QuestionError> {
    text.map(|text| shapes::cluster(&text).ok_or(QuestionError::Nonsense))
        .transpose()
}

/// Asks the node at an address to let this one in.
pub(super) async fn join(
    local: &Arc<Local>,
    address: &Address,
    as_learner: bool,
) -> Result<(ClusterId, Vec<Member>), QuestionError> {
    let asked = Join {
        node_id: local.me.name.to_string(),
        addr: local.me.address.to_string(),
        as_learner,
    };
    let question = Question {
        method: Method::POST,
        path: JOIN,
        body: serde_json::to_vec(&asked)
            .map_err(|_| QuestionError::Nonsense)?
            .into(),
        patience: PEER_QUESTION_WAIT_MAX + MEMBER_CHANGE_WAIT_MAX,
    };
    let answer = ask(local, address, &question).await?;
    let joined: Joined =
        serde_json::from_slice(&answer.body).map_err(|_| QuestionError::Nonsense)?;
    let cluster = shapes::cluster(&joined.cluster_id).ok_or(QuestionError::Nonsense)?;
    let members = joined.members.iter();
    let members = members.map(|known| known.read().ok_or(QuestionError::Nonsense));
    Ok((cluster, members.collect::<Result<_, _>>()?))
}

async fn ask(
    local: &Arc<Local>,
    address: &Address,
    question: &Question,
) -> Result<Answer, QuestionError> {
    let target = Target {
        address: address.clone(),
        name: None,
        id: None,
    };
    let mut line = Line::new(Arc::clone(local), target);
    let answer = line.ask(question).await?;
    if answer.status == StatusCode::OK {
        return Ok(answer);
    }
    Err(QuestionError::Refused {
        status: answer.status.as_u16(),
        problem: shapes::problem(&answer.body),
    })
}
