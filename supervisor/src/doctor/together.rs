//! The cluster: how nodes know each other, and whether those that are named answer.

use super::report::Finding;
use crate::cluster::{ClusterConfig, Operator};
use crate::config::Config;

const SUBJECT: &str = "cluster";

/// What a node needs of others.
pub(super) async fn nodes(config: &Config) -> Vec<Finding> {
    let Some(node) = &config.executions.node else {
        return Vec::new();
    };
    let cluster = &node.cluster;
    if let Err(error) = cluster.check_trust() {
        let what = "give all nodes certificates of one authority, or one secret";
        return vec![Finding::fail(SUBJECT, error.to_string(), what)];
    }
    let mut findings = vec![Finding::ok(
        SUBJECT,
        format!(
            "this node is {}, reached at {}",
            cluster.name, cluster.advertise
        ),
    )];
    for other in cluster.others() {
        findings.push(match answer(cluster, &other).await {
            Ok(()) => Finding::ok(SUBJECT, format!("the node at {other} answers")),
            // It may not have been started yet.
            Err(problem) => Finding::warn(
                SUBJECT,
                format!("the node at {other} does not: {problem}"),
                "start it, or correct --peers or --join",
            ),
        });
    }
    findings
}

async fn answer(
    cluster: &ClusterConfig,
    other: &crate::cluster::Address,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut operator = Operator::new(cluster, Some(other.clone()))?;
    operator.status().await?;
    Ok(())
}
