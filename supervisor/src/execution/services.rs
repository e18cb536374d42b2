//! What drivers share.

use std::time::Duration;

use super::course::Course;
use crate::audit::Audit;
use crate::fetch::Broker;
use crate::heaps::Heaps;
use crate::metrics::ExecutionFigures;
use crate::quota::Quotas;
use crate::store::Store;
use crate::workers::Spawner;

/// What drivers share.
#[derive(Debug, Clone)]
pub struct Services {
    /// Where ends and output go.
    pub store: Store,
    /// Where workers come from.
    pub spawner: Spawner,
    /// Where heaps are kept; `None` where they are not.
    pub heaps: Option<Heaps>,
    /// Who makes the requests of scripts; `None` where they may make none.
    pub broker: Option<Broker>,
    /// Where it is counted what tenants use.
    pub quotas: Quotas,
    /// Where it is noted what happens.
    pub audit: Audit,
    /// What is counted.
    pub figures: ExecutionFigures,
    /// How long a worker may take to say Hello.
    pub hello_timeout: Duration,
    /// How long an execution may wait for a slot.
    pub queue_wait_max: Duration,
}

impl Services {
    /// The course of one more execution.
    pub(super) fn course(&self) -> Course {
        Course::begin(self.figures.clone(), self.spawner.vitals().clone())
    }
}
