//! What callers may ask for. Every refusal names the argument and its range.

use super::error::Error;
use super::request::{ListRequest, RunRequest};
use crate::limits;
use crate::store::{Limits, ListPosition, PageRequest};

/// Checks a request to run, and fills in what it leaves open.
pub(super) fn run(request: &RunRequest, defaults: Limits) -> Result<Limits, Error> {
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

/// Checks a request for a page of the list, and reads its cursor.
pub(super) fn list(request: &ListRequest) -> Result<Option<ListPosition>, Error> {
    within(
        "limit",
        u64::from(request.limit),
        1,
        u64::from(limits::LIST_LENGTH_MAX),
    )?;
    request.cursor.as_deref().map(position).transpose()
}

/// Cursors begin with this, so that a later form can be told apart.
const CURSOR_PREFIX: &str = "e1-";

/// A place in the list, for clients, who must not read it.
pub(super) fn cursor(position: ListPosition) -> String {
    format!("{CURSOR_PREFIX}{:x}", position.0)
}

fn position(cursor: &str) -> Result<ListPosition, Error> {
    cursor
        .strip_prefix(CURSOR_PREFIX)
        .and_then(|digits| i64::from_str_radix(digits, 16).ok())
        .map(ListPosition)
        .ok_or_else(|| Error::Invalid {
            field: "cursor",
            problem: "it is not a cursor of this list".to_owned(),
            allowed: "next_cursor of the page before, unchanged, or none for the first page"
                .to_owned(),
        })
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
    use super::*;

    const DEFAULTS: Limits = Limits {
        heap_memory_max_mb: 8,
        execution_timeout_secs: 30,
    };

    fn request(source: &str) -> RunRequest {
        RunRequest {
            source: source.to_owned(),
            heap_memory_max_mb: None,
            execution_timeout_secs: None,
        }
    }

    #[test]
    fn defaults_fill_what_is_left_open() {
        assert_eq!(run(&request("1"), DEFAULTS).unwrap(), DEFAULTS);
    }

    #[test]
    fn the_size_of_code_is_bounded_on_both_sides() {
        let largest = "x".repeat(limits::SOURCE_BYTES_MAX);
        assert!(run(&request(&largest), DEFAULTS).is_ok());
        let text = run(&request(&(largest + "x")), DEFAULTS)
            .unwrap_err()
            .to_string();
        assert_eq!(
            text,
            "code: it has 1048577 bytes; allowed: 1 to 1048576 bytes of UTF-8"
        );
        let text = run(&request(""), DEFAULTS).unwrap_err().to_string();
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
            );
            assert_eq!(result.is_ok(), allowed, "{found}");
        }
        let error = run(
            &RunRequest {
                execution_timeout_secs: Some(301),
                ..request("1")
            },
            DEFAULTS,
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
    fn cursors_come_back_or_are_refused() {
        let list = |cursor: Option<&str>| {
            list(&ListRequest {
                status: None,
                limit: 1,
                cursor: cursor.map(str::to_owned),
            })
        };
        assert_eq!(list(None).unwrap(), None);
        let known = cursor(ListPosition(77));
        assert_eq!(list(Some(&known)).unwrap(), Some(ListPosition(77)));
        for unknown in ["", "77", "e1-", "e1-zz", "e2-4d", "\u{e9}"] {
            assert!(list(Some(unknown)).is_err(), "{unknown}");
        }
    }
}
