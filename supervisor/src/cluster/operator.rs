//! What whoever looks after a cluster asks its nodes.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::line::{Line, Question, Target};
use super::local::Local;
use super::name::Address;
use super::options::ClusterConfig;
use super::peer::Peer;
use super::questions::QuestionError;
use super::routes::{LEAVE, STATUS, shapes};
use super::trust::{Credentials, TrustError};
use crate::limits::{MEMBER_CHANGE_WAIT_MAX, PEER_QUESTION_WAIT_MAX};
use crate::raft::ids::Incarnation;

/// Somebody who has the settings of a node, and is none.
#[derive(Debug)]
pub struct Operator {
    line: Line,
}

impl Operator {
    /// Who asks the node at this address; without one, the node on this machine.
    ///
    /// # Errors
    /// [`TrustError`].
    pub fn new(config: &ClusterConfig, at: Option<Address>) -> Result<Self, TrustError> {
        let mut life = [0; 16];
        // Whoever has the same life is asked for nothing by it.
        let _ = getrandom::fill(&mut life);
        let local = Local {
            me: Peer::new(
                config.name.clone(),
                Incarnation(life),
                config.advertise.clone(),
            ),
            credentials: Credentials::open(&config.trust, &config.name)?,
            cluster: OnceLock::new(),
        };
        let target = Target {
            address: at.unwrap_or_else(|| Address::of_this_machine(config.listen)),
            name: None,
            id: None,
        };
        Ok(Self {
            line: Line::new(Arc::new(local), target),
        })
    }

    /// How the node stands, and who is in its cluster, as JSON.
    ///
    /// # Errors
    /// [`QuestionError`].
    pub async fn status(&mut self) -> Result<Value, QuestionError> {
        let question = Question {
            method: Method::GET,
            path: STATUS,
            body: Bytes::new(),
            patience: PEER_QUESTION_WAIT_MAX,
        };
        self.ask(&question).await
    }

    /// Has a node removed, and waits until that is done.
    ///
    /// # Errors
    /// [`QuestionError`].
    pub async fn remove(&mut self, node: &str) -> Result<(), QuestionError> {
        let question = Question {
            method: Method::POST,
            path: LEAVE,
            body: json!({ "node_id": node }).to_string().into(),
            patience: PEER_QUESTION_WAIT_MAX + MEMBER_CHANGE_WAIT_MAX,
        };
        self.ask(&question).await?;
        Ok(())
    }

    async fn ask(&mut self, question: &Question) -> Result<Value, QuestionError> {
        let answer = self.line.ask(question).await?;
        if answer.status != StatusCode::OK {
            return Err(QuestionError::Refused {
                status: answer.status.as_u16(),
                problem: shapes::problem(&answer.body),
            });
        }
        serde_json::from_slice(&answer.body).map_err(|_| QuestionError::Nonsense)
    }
}
