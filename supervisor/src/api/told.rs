//! What clients are told of an error, over every transport. Where its text would say too much of the
//! server's inside, they get a general one, and a number under which the log says the rest.

use std::fmt;

use uuid::Uuid;

use crate::app::{Error, HeapError, Unavailable};

/// Something failed that is nobody's business.
pub const FAILED: &str = "the server failed; its log has the details";

const NO_STORE: &str = "the server cannot write to its session database now; nothing has changed, \
                        try again later";
const NO_AUDIT: &str = "the server cannot write to its audit log now; nothing was accepted, try \
                        again later";
const NO_NODE: &str =
    "the node that runs this execution gives no answer now; try again in a moment";
const NO_ANSWER: &str = "the node that runs this execution did not say whether it has ended it; cancel it \
                         again: where it is told to be cancelled then, that was done";
const NO_HEAPS: &str =
    "the server cannot reach its heaps now; nothing was accepted, try again later";

/// What a client is told of this.
pub fn told(error: &Error) -> String {
    match instead(error) {
        Some(text) => hidden(text, error),
        None => error.to_string(),
    }
}

/// Logs an error, and gives the text that stands for it, with the number of the log's.
pub fn hidden(text: &str, error: &dyn fmt::Display) -> String {
    let incident = Uuid::new_v4();
    tracing::error!(%incident, %error, "a request failed");
    format!("{text} (incident {incident})")
}

/// The general text for an error that names what the database, the disk or the network has said.
const fn instead(error: &Error) -> Option<&'static str> {
    match error {
        Error::Internal(_) => Some(FAILED),
        Error::Unavailable(Unavailable::Store { .. } | Unavailable::Unwritten { .. }) => {
            Some(NO_STORE)
        }
        Error::Unavailable(Unavailable::Audit { .. }) => Some(NO_AUDIT),
        Error::Unavailable(Unavailable::Node { .. }) => Some(NO_NODE),
        Error::Unavailable(Unavailable::CancelUnanswered { .. }) => Some(NO_ANSWER),
        Error::Heap(HeapError::Unavailable { .. } | HeapError::NotCopied { .. }) => Some(NO_HEAPS),
        Error::NotFound { .. }
        | Error::Gone { .. }
        | Error::UnknownHeap { .. }
        | Error::UnknownSession { .. }
        | Error::NoLatestHeap { .. }
        | Error::Stateless { .. }
        | Error::Invalid { .. }
        | Error::Conflict(_)
        | Error::Overloaded { .. }
        | Error::TenantFull { .. }
        | Error::QueueShared { .. }
        | Error::OverQuota(_)
        | Error::Unavailable(
            Unavailable::ShuttingDown
            | Unavailable::SlowStore
            | Unavailable::StillEnding { .. }
            | Unavailable::Cluster { .. }
            | Unavailable::Undecided { .. },
        )
        | Error::Heap(
            HeapError::Unknown { .. }
            | HeapError::Damaged { .. }
            | HeapError::Foreign { .. }
            | HeapError::Incompatible { .. }
            | HeapError::TooLarge { .. },
        ) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::Internal;

    #[test]
    fn what_the_database_said_is_for_the_log() {
        let problem = "near \"SECRET\": no such table".to_owned();
        for error in [
            Error::Internal(Internal::Store {
                problem: problem.clone(),
            }),
            Error::Unavailable(Unavailable::Store {
                problem: problem.clone(),
            }),
            Error::Unavailable(Unavailable::Unwritten { problem }),
        ] {
            let (first, second) = (told(&error), told(&error));
            assert!(!first.contains("SECRET"), "{first}");
            assert!(first.contains(" (incident "), "{first}");
            assert_ne!(first, second, "each has a number of its own");
        }
        let plain = Error::Unavailable(Unavailable::ShuttingDown);
        assert_eq!(told(&plain), plain.to_string());
    }
}
