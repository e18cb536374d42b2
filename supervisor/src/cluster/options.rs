//! What an operator decides about a cluster.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::name::{Address, Listed, NodeName};
use crate::http::TlsFiles;
use crate::limits::{
    CLUSTER_TICK_MAX, CLUSTER_TICK_MIN, CLUSTER_TICKS_OF_ELECTION, CLUSTER_TICKS_OF_HEARTBEAT,
};

/// The cluster that this node takes part in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterConfig {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// What this node is called.
    pub name: NodeName,
    /// Where others reach it.
    pub advertise: Address,
    /// How it comes to a cluster, where its disk does not say.
    pub begin: Begin,
    /// Whether the members that are gone are given up.
    pub forces_new: bool,
    /// How it keeps time.
    pub timing: Timing,
    /// How nodes know each other.
    pub trust: Trust,
    /// Whether anybody may ask how the cluster stands.
    pub is_status_public: bool,
}

/// How a node with an empty disk comes to a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begin {
    /// It is a cluster of one, which others can join.
    Alone,
    /// It makes one together with these.
    With(Vec<Listed>),
    /// It joins the one that this node is in.
    Join {
        /// Any member.
        seed: Address,
        /// Whether it never votes.
        as_learner: bool,
    },
}

/// How nodes know each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// By certificates.
    Tls {
        /// This node's own.
        own: TlsFiles,
        /// Those who sign certificates of nodes.
        authorities: PathBuf,
    },
    /// By a secret that all of them have, in this file.
    Secret(PathBuf),
    /// Not at all.
    Nobody,
}

/// How a node keeps time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// From one look at the clock to the next.
    pub tick: Duration,
    /// Ticks from one sign of life of a leader to the next.
    pub heartbeat_ticks: usize,
    /// Ticks without one until another stands for election: at least, and less than.
    pub election_ticks: (usize, usize),
}

impl Timing {
    /// These times, in milliseconds, in ticks: fine enough that two nodes seldom stand for election in
    /// the same one, and no finer.
    pub fn new(heartbeat: u64, election: (u64, u64)) -> Self {
        let span = election.1.saturating_sub(election.0);
        let fine = (heartbeat / CLUSTER_TICKS_OF_HEARTBEAT).min(span / CLUSTER_TICKS_OF_ELECTION);
        let least = u64::try_from(CLUSTER_TICK_MIN.as_millis()).unwrap_or(1);
        let most = u64::try_from(CLUSTER_TICK_MAX.as_millis()).unwrap_or(u64::MAX);
        let tick = fine.clamp(least, most);
        let ticks = |ms: u64| usize::try_from(ms / tick).unwrap_or(usize::MAX).max(1);
        let heartbeat_ticks = ticks(heartbeat);
        let least = ticks(election.0).max(heartbeat_ticks + 1);
        Self {
            tick: Duration::from_millis(tick),
            heartbeat_ticks,
            election_ticks: (least, ticks(election.1).max(least + 1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_as_fine_as_they_have_to_be() {
        let timing = |heartbeat, least, most| {
            let timing = Timing::new(heartbeat, (least, most));
            let tick = u64::try_from(timing.tick.as_millis()).unwrap();
            (tick, timing.heartbeat_ticks, timing.election_ticks)
        };
        assert_eq!(timing(100, 300, 500), (10, 10, (30, 50)));
        assert_eq!(timing(200, 1000, 2000), (40, 5, (25, 50)));
        assert_eq!(timing(1000, 5000, 9000), (50, 20, (100, 180)));
        assert_eq!(timing(10, 20, 21), (5, 2, (4, 5)));
    }

    proptest::proptest! {
        #[test]
        fn any_times_that_are_allowed_make_ticks_that_the_algorithm_takes(
            heartbeat in 10_u64..10_000, more in 0_u64..50_000, span in 1_u64..60_000,
        ) {
            let least = heartbeat * 2 + more;
            let timing = Timing::new(heartbeat, (least, least + span));
            proptest::prop_assert!(timing.heartbeat_ticks >= 1);
            proptest::prop_assert!(timing.election_ticks.0 > timing.heartbeat_ticks);
            proptest::prop_assert!(timing.election_ticks.1 > timing.election_ticks.0);
        }
    }
}
