//! What the audit log is told of the use cases.

use sha2::{Digest as _, Sha256};

use super::error::{Error, Unavailable};
use super::workspace::Workspace;
use crate::audit::{Actor, Event, Unwritable};
use crate::heaps::HeapId;
use crate::hex::Hex;
use crate::store::{ExecutionId, View};

/// The code of an execution, for those who may not see it.
pub(super) fn code_hash(source: &str) -> String {
    Hex(&Sha256::digest(source.as_bytes())).to_string()
}

impl Workspace {
    /// Who asks.
    pub(super) fn actor(&self) -> Actor {
        Actor {
            tenant: self.tenant().name().to_owned(),
            token: self.way.token.as_deref().map(str::to_owned),
            transport: self.way.transport,
        }
    }

    /// Notes that an execution was refused whose code was not read.
    pub fn note_early_refusal(&self, error: &Error) {
        self.note_refusal(error, None);
    }

    pub(super) fn note_refusal(&self, error: &Error, code_sha256: Option<String>) {
        let audit = &self.shared.services.audit;
        if audit.is_on() {
            audit.note(Event::ExecutionRefused {
                actor: self.actor(),
                code_sha256,
                reason: reason(error),
            });
        }
    }

    pub(super) fn accepted(&self, view: &View, code_sha256: String) -> Event {
        Event::ExecutionAccepted {
            actor: self.actor(),
            execution: view.id.to_string(),
            code_sha256,
            input_heap: view.input_heap.map(|heap| heap.to_string()),
            heap_memory_max_mb: view.limits.heap_memory_max_mb,
            execution_timeout_secs: view.limits.execution_timeout_secs,
        }
    }

    pub(super) fn cancel_asked(&self, id: ExecutionId, is_cancelled: bool) {
        self.shared.services.audit.note(Event::CancelAsked {
            actor: self.actor(),
            execution: id.to_string(),
            is_cancelled,
        });
    }

    pub(super) fn tags_changed(&self, heap: HeapId, change: &'static str) -> Event {
        Event::TagsChanged {
            actor: self.actor(),
            heap: heap.to_string(),
            change,
        }
    }
}

impl From<Unwritable> for Error {
    fn from(unwritable: Unwritable) -> Self {
        Self::Unavailable(Unavailable::Audit {
            problem: unwritable.problem,
        })
    }
}

/// Why an execution was refused, in a word.
const fn reason(error: &Error) -> &'static str {
    match error {
        Error::NotFound { .. } => "unknown_execution",
        Error::Gone { .. } => "gone",
        Error::UnknownHeap { .. } => "unknown_heap",
        Error::UnknownSession { .. } => "unknown_session",
        Error::NoLatestHeap { .. } => "no_latest_heap",
        Error::Stateless { .. } => "stateless",
        Error::Heap(_) => "heap",
        Error::Invalid { .. } => "invalid_argument",
        Error::Conflict(_) => "conflict",
        Error::Overloaded { .. } => "overloaded",
        Error::TenantFull { .. } | Error::QueueShared { .. } => "tenant_full",
        Error::OverQuota(excess) => excess.quota.name(),
        Error::Unavailable(_) => "unavailable",
        Error::Internal(_) => "internal",
    }
}
