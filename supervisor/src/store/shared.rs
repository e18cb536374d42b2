//! An execution as the nodes of a cluster share it.

use super::record::{CancelledBy, End, HeapEnd, View};
use crate::raft::command::{Ended, Execution, Used};
use crate::raft::ids::RaftId;

impl View {
    /// As it is shared.
    pub(super) fn into_execution(self, owner: RaftId) -> Execution {
        let at_us = self.completed_at.map(|at| at.as_microsecond());
        Execution {
            id: *self.id.0.as_bytes(),
            tenant: self.tenant.name().to_owned(),
            owner,
            session: self.session.map(|name| name.as_str().to_owned()),
            input_heap: self.input_heap.map(|heap| *heap.as_bytes()),
            submitted_us: self.submitted_at.as_microsecond(),
            source_bytes: self.source_bytes,
            heap_memory_max_mb: self.limits.heap_memory_max_mb,
            execution_timeout_secs: self.limits.execution_timeout_secs,
            started_us: self.started_at.map(|at| at.as_microsecond()),
            output_bytes: self.output_bytes,
            output_truncated: self.output_truncated,
            usage: self.usage.map(|usage| Used {
                cpu_ms: usage.cpu_ms,
                peak_memory_bytes: usage.peak_memory_bytes,
            }),
            end: at_us.zip(self.end.map(End::into_ended)),
        }
    }
}

impl End {
    fn into_ended(self) -> Ended {
        match self {
            Self::Completed {
                result,
                result_truncated,
                preview,
                heap,
            } => Ended::Completed {
                result,
                result_truncated,
                preview,
                heap: match heap {
                    HeapEnd::NotKept => Ok(None),
                    HeapEnd::Kept(id) => Ok(Some(*id.as_bytes())),
                    HeapEnd::Lost { why } => Err(why),
                },
            },
            Self::Failed {
                kind,
                error,
                error_truncated,
            } => Ended::Failed {
                kind: kind.name().to_owned(),
                error,
                error_truncated,
            },
            Self::Cancelled { by } => Ended::Cancelled {
                by_shutdown: by == CancelledBy::Shutdown,
            },
            Self::TimedOut { after_secs } => Ended::TimedOut { after_secs },
        }
    }
}
