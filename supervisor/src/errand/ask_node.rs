//! Asks a node of a cluster how it stands, or has a node removed.

use std::io::Write as _;
use std::process::ExitCode;

use mcp_v8::cluster::{Address, ClusterConfig, Operator};
use mcp_v8::config::AskNode;

use super::runtime;
use crate::complain;

/// Asks the node at this address, or the one on this machine.
pub(crate) fn ask_node(cluster: &ClusterConfig, at: Option<Address>, ask: &AskNode) -> ExitCode {
    match runtime::run(asked(cluster, at, ask)) {
        Ok(Ok(text)) => {
            let _nobody_reads = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Ok(Err(problem)) => {
            complain(&format!("mcp-v8: {problem}\n"));
            ExitCode::FAILURE
        }
        Err(error) => {
            complain(&format!("mcp-v8: {error}\n"));
            ExitCode::FAILURE
        }
    }
}

async fn asked(
    cluster: &ClusterConfig,
    at: Option<Address>,
    ask: &AskNode,
) -> Result<String, Box<dyn std::error::Error>> {
    let mut operator = Operator::new(cluster, at)?;
    match ask {
        AskNode::Status => {
            let status = operator.status().await?;
            Ok(format!("{status:#}\n"))
        }
        AskNode::Leave(node) => {
            operator.remove(node).await?;
            Ok(format!("{node} is removed from the cluster\n"))
        }
    }
}
