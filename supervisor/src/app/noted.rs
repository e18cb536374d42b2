//! What the audit log is told of the use cases.

use sha2::{Digest as _, Sha256};

use super::error::{Error, Unavailable};
use super::workspace::Workspace;
use crate::audit::{Actor, Audit, Event, Place, Unwritable};
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

    /// What is noted of a cancel, from when it is asked for.
    pub(super) fn cancel_asked(&self, id: ExecutionId) -> Asked {
        Asked {
            audit: self.shared.services.audit.clone(),
            place: None,
            event: Some(Event::CancelAsked {
                actor: self.actor(),
                execution: id.to_string(),
                is_cancelled: None,
            }),
        }
    }

    /// What is noted of a change of tags, from when it is asked for.
    ///
    /// # Errors
    /// [`Error::Unavailable`]: it cannot be noted, and must not be made.
    pub(super) fn tags_change(&self, heap: HeapId, change: &'static str) -> Result<Asked, Error> {
        let audit = &self.shared.services.audit;
        Ok(Asked {
            place: Some(audit.place()?),
            audit: audit.clone(),
            event: Some(Event::TagsChanged {
                actor: self.actor(),
                heap: heap.to_string(),
                change,
                outcome: Some(UNKNOWN),
            }),
        })
    }
}

/// What is noted where nobody knows what has become of something.
const UNKNOWN: &str = "unknown";

/// Something that was asked for. It is noted whatever becomes of it: also where whoever has asked goes away,
/// and nobody hears the answer any more.
#[derive(Debug)]
pub(super) struct Asked {
    audit: Audit,
    place: Option<Place>,
    /// What is to be noted, as far as it is known.
    event: Option<Event>,
}

impl Asked {
    /// It was done, or, of a cancel: not, because the execution ended before.
    pub(super) fn came_to(mut self, is_done: bool) {
        match &mut self.event {
            Some(Event::TagsChanged { outcome, .. }) if is_done => *outcome = None,
            Some(Event::CancelAsked { is_cancelled, .. }) => *is_cancelled = Some(is_done),
            _ => self.event = None,
        }
    }

    /// Nothing was done, for certain.
    pub(super) fn came_to_nothing(mut self) {
        self.event = None;
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let Some(event) = self.event.take() else {
            return;
        };
        match self.place.take() {
            Some(place) => place.note(event),
            None => self.audit.note(event),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::AuditConfig;

    fn tags(place: Option<Place>, audit: &Audit, heap: &str) -> Asked {
        let event = Event::TagsChanged {
            actor: Actor {
                tenant: "t".to_owned(),
                token: None,
                transport: None,
            },
            heap: heap.to_owned(),
            change: "set",
            outcome: Some(UNKNOWN),
        };
        Asked {
            audit: audit.clone(),
            place,
            event: Some(event),
        }
    }

    #[tokio::test]
    async fn what_was_asked_for_is_noted_whoever_hears_of_it() {
        let directory = tempfile::tempdir().unwrap();
        let config = AuditConfig {
            path: directory.path().join("audit.log"),
            key_file: directory.path().join("audit.key"),
            file_bytes_max: 1 << 20,
            files_max: 2,
        };
        let path = config.path.clone();
        let opened = tokio::task::spawn_blocking(move || Audit::open(&config));
        let audit = opened.await.unwrap().unwrap();
        let place = || Some(audit.place().unwrap());
        tags(place(), &audit, "made").came_to(true);
        tags(place(), &audit, "not made").came_to_nothing();
        // Nobody knows, or whoever has asked has gone: the future that would say so is dropped.
        drop(tags(place(), &audit, "unknown"));
        drop(tags(None, &audit, "unknown too"));
        audit.close().await;
        let text = std::fs::read_to_string(path).unwrap();
        let line = |heap: &str| {
            text.lines()
                .find(|line| line.contains(&format!("\"{heap}\"")))
        };
        assert!(!line("made").unwrap().contains("outcome"), "{text}");
        assert_eq!(line("not made"), None);
        for heap in ["unknown", "unknown too"] {
            let line = line(heap).unwrap();
            assert!(line.contains("\"outcome\":\"unknown\""), "{line}");
        }
    }
}
