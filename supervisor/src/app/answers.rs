//! What other nodes are told about the executions of this one.

use std::sync::Weak;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::error::{Error, Unavailable};
use super::executions::{Executions, Shared};
use super::question::{self, Asked, Question, Refused, Told, Unreadable};
use super::workspace::Workspace;
use crate::cluster::Answers;
use crate::store::ExecutionId;

/// The transport that the audit log names for what another node was asked to do.
const NODE: &str = "node";

/// Who answers, as long as the server is there.
#[derive(Debug)]
pub(super) struct Answering(pub(super) Weak<Shared>);

#[async_trait]
impl Answers for Answering {
    async fn answer(&self, question: Bytes) -> Bytes {
        let told = match self.told(&question).await {
            Ok(told) => told,
            Err(error) => Told::Refused(error.into()),
        };
        let bytes = question::encode(&told).or_else(|| {
            let problem = "the answer is too large".to_owned();
            question::encode(&Told::Refused(Refused::Failed(problem)))
        });
        bytes.unwrap_or_default().into()
    }
}

impl Answering {
    async fn told(&self, question: &[u8]) -> Result<Told, Error> {
        let ending = || Error::Unavailable(Unavailable::ShuttingDown);
        let shared = self.0.upgrade().ok_or_else(ending)?;
        let node = shared.nodes().ok_or_else(ending)?.me;
        let (question, tenant) = read(question).map_err(|error| {
            Error::Unavailable(Unavailable::Node {
                node: node.to_string(),
                problem: error.to_string(),
            })
        })?;
        let id = ExecutionId::from_key(question.id);
        let executions = Executions {
            shared: shared.clone(),
        };
        let workspace = executions.of(tenant).through(NODE, None).here();
        // The server may end while somebody waits.
        drop((shared, executions));
        Ok(match question.asked {
            Asked::View { wait_ms: 0 } => Told::view(workspace.get(id).await?, node),
            Asked::View { wait_ms } => {
                let wait = Duration::from_millis(wait_ms);
                Told::view(workspace.wait(id, wait).await?, node)
            }
            Asked::Growth { seen } => growth(&workspace, id, seen).await?,
            Asked::Output(request) => Told::Output(Box::new(workspace.output(id, request).await?)),
            Asked::Source => Told::source(workspace.source(id).await?),
            Asked::Cancel => {
                workspace.cancel(id).await?;
                Told::Cancelled
            }
        })
    }
}

fn read(bytes: &[u8]) -> Result<(Question, crate::tenant::Tenant), Unreadable> {
    let question: Question = question::decode(bytes)?;
    let tenant = question.tenant.parse().map_err(|_| Unreadable)?;
    Ok((question, tenant))
}

async fn growth(workspace: &Workspace, id: ExecutionId, seen: u64) -> Result<Told, Error> {
    let (output_bytes, has_ended) = workspace.growth(id, seen).await?;
    Ok(Told::Growth {
        output_bytes,
        has_ended,
    })
}
