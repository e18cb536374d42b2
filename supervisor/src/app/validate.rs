//! What callers may ask for. Every refusal names the argument and its range.

use super::error::Error;
use super::request::{HeapQuery, ListRequest, RunRequest, SessionsRequest, SnapshotsRequest};
use super::start::Mode;
use crate::limits;
use crate::store::{Limits, PageRequest};

/// Checks a request to run, and fills in what it leaves open.
pub(super) fn run(request: &RunRequest, defaults: Limits, mode: Mode) -> Result<Limits, Error> {
    let bytes = request.source.len();
    if bytes == 0 || bytes > limits::SOURCE_BYTES_MAX {
        return Err(Error::Invalid {
            field: "code",
            problem: if bytes == 0 {
                "it is empty".to_owned()
            } else {
                format!("it has {bytes} bytes")
            },
            allowed: format!("1 to {} bytes of UTF-8", limits::SOURCE_BYTES_MAX),
        });
    }
    if let (Mode::Stateless, Some(what)) = (mode, asks_for_state(request)) {
        return Err(Error::Stateless { what });
    }
    Ok(Limits {
        heap_memory_max_mb: optional(
            "heap_memory_max_mb",
            request.heap_memory_max_mb,
            limits::HEAP_MEMORY_MB_MIN,
            limits::HEAP_MEMORY_MB_MAX,
            defaults.heap_memory_max_mb,
        )?,
        execution_timeout_secs: optional(
            "execution_timeout_secs",
            request.execution_timeout_secs,
            limits::EXECUTION_TIMEOUT_SECS_MIN,
            limits::EXECUTION_TIMEOUT_SECS_MAX,
            defaults.execution_timeout_secs,
        )?,
    })
}

/// The first argument that only a server with state can heed.
fn asks_for_state(request: &RunRequest) -> Option<&'static str> {
    if request.heap.is_some() {
        Some("heap")
    } else if request.session.is_some() {
        Some("session")
    } else {
        (!request.tags.is_empty()).then_some("tags")
    }
}

/// The newest heap was asked for, and not of what.
pub(super) fn latest_of_nothing() -> Error {
    Error::Invalid {
        field: "heap",
        problem: "latest is the newest heap of a session, and no session is given".to_owned(),
        allowed: "latest together with session, or the 64 hexadecimal digits of a heap".to_owned(),
    }
}

/// Checks a request for a page of output.
pub(super) fn page(request: PageRequest) -> Result<(), Error> {
    match request {
        PageRequest::Lines { offset, limit } => {
            within("line_offset", offset, 1, u64::MAX)?;
            within("line_limit", limit, 1, limits::PAGE_LINES_MAX)
        }
        PageRequest::Bytes { offset: _, limit } => {
            within("byte_limit", limit, 1, limits::PAGE_BYTES_MAX)
        }
    }
}

/// Checks a request for a page of the list.
pub(super) fn list(request: &ListRequest) -> Result<(), Error> {
    list_limit(request.limit)
}

/// Checks a request for a page of sessions.
pub(super) fn sessions(request: &SessionsRequest) -> Result<(), Error> {
    list_limit(request.limit)
}

/// Checks a request for heaps.
pub(super) fn heap_query(query: &HeapQuery) -> Result<(), Error> {
    if query.tags.is_empty() {
        return Err(Error::Invalid {
            field: "tags",
            problem: "there is none, and none would match every heap".to_owned(),
            allowed: "one tag or more, which all have to match".to_owned(),
        });
    }
    list_limit(query.limit)
}

/// Checks a request for entries of a session.
pub(super) fn snapshots(request: &SnapshotsRequest) -> Result<(), Error> {
    let most = u64::from(limits::SESSION_ENTRIES_LENGTH_MAX);
    within("limit", u64::from(request.limit), 1, most)
}

fn list_limit(limit: u32) -> Result<(), Error> {
    let most = u64::from(limits::LIST_LENGTH_MAX);
    within("limit", u64::from(limit), 1, most)
}

fn optional(
    field: &'static str,
    found: Option<u64>,
    min: u64,
    max: u64,
    default: u64,
) -> Result<u64, Error> {
    let Some(found) = found else {
        return Ok(default);
    };
    within(field, found, min, max)?;
    Ok(found)
}

fn within(field: &'static str, found: u64, min: u64, max: u64) -> Result<(), Error> {
    if (min..=max).contains(&found) {
        return Ok(());
    }
    Err(Error::Invalid {
        field,
        problem: format!("it is {found}"),
        allowed: if max == u64::MAX {
            format!("{min} or more")
        } else {
            format!("{min} to {max}")
        },
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::app::HeapChoice;
    use crate::store::{SessionName, Tags};

    const DEFAULTS: Limits = Limits {
        heap_memory_max_mb: 8,
        execution_timeout_secs: 30,
    };

    fn request(source: &str) -> RunRequest {
        RunRequest {
            source: source.to_owned(),
            heap_memory_max_mb: None,
            execution_timeout_secs: None,
            heap: None,
            session: None,
            tags: Tags::default(),
        }
    }

    #[test]
    fn defaults_fill_what_is_left_open() {
        assert_eq!(
            run(&request("1"), DEFAULTS, Mode::Stateful).unwrap(),
            DEFAULTS
        );
    }

    #[test]
    fn the_size_of_code_is_bounded_on_both_sides() {
        let largest = "x".repeat(limits::SOURCE_BYTES_MAX);
        assert!(run(&request(&largest), DEFAULTS, Mode::Stateful).is_ok());
        let text = run(&request(&(largest + "x")), DEFAULTS, Mode::Stateful)
            .unwrap_err()
            .to_string();
        assert_eq!(
            text,
            "code: it has 1048577 bytes; allowed: 1 to 1048576 bytes of UTF-8"
        );
        let text = run(&request(""), DEFAULTS, Mode::Stateful)
            .unwrap_err()
            .to_string();
        assert!(text.starts_with("code: it is empty"), "{text}");
    }

    #[test]
    fn limits_name_their_range() {
        for (found, allowed) in [(3, false), (4, true), (64, true), (65, false)] {
            let result = run(
                &RunRequest {
                    heap_memory_max_mb: Some(found),
                    ..request("1")
                },
                DEFAULTS,
                Mode::Stateful,
            );
            assert_eq!(result.is_ok(), allowed, "{found}");
        }
        let error = run(
            &RunRequest {
                execution_timeout_secs: Some(301),
                ..request("1")
            },
            DEFAULTS,
            Mode::Stateful,
        );
        assert_eq!(
            error.unwrap_err().to_string(),
            "execution_timeout_secs: it is 301; allowed: 1 to 300"
        );
    }

    #[test]
    fn pages_are_bounded() {
        let lines = |offset, limit| page(PageRequest::Lines { offset, limit });
        let bytes = |offset, limit| page(PageRequest::Bytes { offset, limit });
        assert!(lines(1, 1).is_ok() && lines(u64::MAX, 10_000).is_ok());
        assert!(lines(0, 1).is_err() && lines(1, 0).is_err() && lines(1, 10_001).is_err());
        assert!(bytes(0, 1).is_ok() && bytes(u64::MAX, 1 << 20).is_ok());
        assert!(bytes(0, 0).is_err() && bytes(0, (1 << 20) + 1).is_err());
    }

    #[test]
    fn state_is_only_asked_of_servers_that_keep_some() {
        let session: SessionName = "s".parse().unwrap();
        let tags = BTreeMap::from([("k".to_owned(), "v".to_owned())]);
        let cases = [
            ("heap", Some(HeapChoice::Latest), None, Tags::default()),
            ("session", None, Some(session), Tags::default()),
            ("tags", None, None, tags.try_into().unwrap()),
        ];
        for (name, heap, session, tags) in cases {
            let request = RunRequest {
                heap,
                session,
                tags,
                ..request("1")
            };
            assert!(run(&request, DEFAULTS, Mode::Stateful).is_ok());
            let error = run(&request, DEFAULTS, Mode::Stateless);
            assert_eq!(error, Err(Error::Stateless { what: name }));
        }
        assert!(run(&request("1"), DEFAULTS, Mode::Stateless).is_ok());
    }

    #[test]
    fn lists_are_bounded() {
        let query = |limit| HeapQuery {
            tags: BTreeMap::from([("k".to_owned(), String::new())])
                .try_into()
                .unwrap(),
            limit,
            cursor: None,
        };
        let listed = |limit| SessionsRequest {
            limit,
            cursor: None,
        };
        for limit in [1, 1000] {
            assert_eq!(heap_query(&query(limit)), Ok(()));
            assert_eq!(sessions(&listed(limit)), Ok(()));
        }
        for limit in [0, 1001] {
            assert!(heap_query(&query(limit)).is_err());
            assert!(sessions(&listed(limit)).is_err());
        }
        let untagged = HeapQuery {
            tags: Tags::default(),
            ..query(1)
        };
        let error = heap_query(&untagged).unwrap_err().to_string();
        assert!(error.starts_with("tags: there is none"), "{error}");
        let entries = |limit| {
            snapshots(&SnapshotsRequest {
                from_index: 0,
                limit,
                with_code: false,
            })
        };
        assert!(entries(1).is_ok() && entries(10_000).is_ok());
        assert!(entries(0).is_err() && entries(10_001).is_err());
    }
}
