//! An execution as the nodes of a cluster share it.

use jiff::Timestamp;

use super::record::{
    CancelledBy, End, ExecutionId, FailureKind, HeapEnd, Limits, Status, Usage, View,
};
use crate::heaps::HeapId;
use crate::raft::command::{Ended, Execution, Used};
use crate::raft::ids::RaftId;

/// What a node tells of an execution that this program cannot have made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a node tells of an execution with a {0} that this version does not know")]
pub(crate) struct Unreadable(&'static str);

impl View {
    /// As it is shared.
    pub(crate) fn into_execution(self, owner: RaftId) -> Execution {
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

impl View {
    /// As another node tells of it, and of where it stands. An execution that has ended stands there.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub(crate) fn from_execution(shared: Execution, status: Status) -> Result<Self, Unreadable> {
        let (completed_at, end) = match shared.end {
            None if status.is_end() => return Err(Unreadable("status")),
            None => (None, None),
            Some((at_us, ended)) => (Some(time(at_us)?), Some(End::from_ended(ended)?)),
        };
        let tenant = shared.tenant.parse();
        let session = shared.session.map(|name| name.parse()).transpose();
        Ok(Self {
            id: ExecutionId::from_key(shared.id),
            tenant: tenant.map_err(|_| Unreadable("name of a tenant"))?,
            input_heap: shared.input_heap.map(HeapId::from_bytes),
            session: session.map_err(|_| Unreadable("name of a session"))?,
            status: end.as_ref().map_or(status, End::status),
            submitted_at: time(shared.submitted_us)?,
            started_at: shared.started_us.map(time).transpose()?,
            completed_at,
            end,
            limits: Limits {
                heap_memory_max_mb: shared.heap_memory_max_mb,
                execution_timeout_secs: shared.execution_timeout_secs,
            },
            source_bytes: shared.source_bytes,
            output_bytes: shared.output_bytes,
            output_truncated: shared.output_truncated,
            usage: shared.usage.map(|used| Usage {
                cpu_ms: used.cpu_ms,
                peak_memory_bytes: used.peak_memory_bytes,
            }),
        })
    }
}

fn time(at_us: i64) -> Result<Timestamp, Unreadable> {
    Timestamp::from_microsecond(at_us).map_err(|_| Unreadable("time"))
}

impl End {
    fn from_ended(ended: Ended) -> Result<Self, Unreadable> {
        Ok(match ended {
            Ended::Completed {
                result,
                result_truncated,
                preview,
                heap,
            } => Self::Completed {
                result,
                result_truncated,
                preview,
                heap: match heap {
                    Ok(None) => HeapEnd::NotKept,
                    Ok(Some(id)) => HeapEnd::Kept(HeapId::from_bytes(id)),
                    Err(why) => HeapEnd::Lost { why },
                },
            },
            Ended::Failed {
                kind,
                error,
                error_truncated,
            } => Self::Failed {
                kind: FailureKind::from_name(&kind).ok_or(Unreadable("kind of failure"))?,
                error,
                error_truncated,
            },
            Ended::Cancelled { by_shutdown } => Self::Cancelled {
                by: if by_shutdown {
                    CancelledBy::Shutdown
                } else {
                    CancelledBy::Client
                },
            },
            Ended::TimedOut { after_secs } => Self::TimedOut { after_secs },
        })
    }

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::execution::driver;
    use crate::tenant::Tenant;

    #[test]
    fn an_execution_that_is_told_of_is_the_one_that_was_meant() {
        let limits = Limits {
            heap_memory_max_mb: 8,
            execution_timeout_secs: 30,
        };
        let owner = RaftId::from_u64(7).expect("an id");
        let id = ExecutionId::random_of(owner);
        let queued = driver::accepted(id, Tenant::local(), limits);
        let ends = [
            End::Completed {
                result: "2".to_owned(),
                result_truncated: false,
                preview: "two".to_owned(),
                heap: HeapEnd::Kept(HeapId::of(b"heap")),
            },
            End::Completed {
                result: String::new(),
                result_truncated: true,
                preview: String::new(),
                heap: HeapEnd::Lost {
                    why: "no room".to_owned(),
                },
            },
            End::Failed {
                kind: FailureKind::Memory,
                error: "too much".to_owned(),
                error_truncated: true,
            },
            End::Cancelled {
                by: CancelledBy::Shutdown,
            },
            End::TimedOut { after_secs: 30 },
        ];
        let ended = ends.map(|end| View {
            status: end.status(),
            started_at: Some(queued.submitted_at),
            completed_at: Some(queued.submitted_at),
            session: Some("s".parse().expect("a name")),
            input_heap: Some(HeapId::of(b"before")),
            output_bytes: 5,
            usage: Some(Usage {
                cpu_ms: 1,
                peak_memory_bytes: 2,
            }),
            end: Some(end),
            ..queued.clone()
        });
        for view in [queued].into_iter().chain(ended) {
            let told = view.clone().into_execution(owner);
            assert_eq!(View::from_execution(told, view.status), Ok(view));
        }
    }

    #[test]
    fn a_name_shows_its_node() {
        let [one, other] = [7, 1 << 40].map(|id| RaftId::from_u64(id).expect("an id"));
        let id = ExecutionId::random_of(one);
        assert!(id.is_of(one) && !id.is_of(other));
        assert_ne!(id, ExecutionId::random_of(one));
    }
}
