//! The directives of a case: what is written above a script, or beside it.

use mcp_v8_protocol::message::{FailureKind, Grants};

use super::{Case, CaseError};

/// V8's heap, and the buffers, when a case says nothing: the server's default.
const HEAP_MB: u64 = 8;
/// The deadline when a case says nothing: no case should come near it.
const TIMEOUT_SECS: u32 = 20;
const DIRECTIVES: [&str; 10] = [
    "expect",
    "preview",
    "output",
    "error",
    "error_exact",
    "truncated",
    "limits",
    "tiers",
    "heaps",
    "grants",
];
/// The tiers of the engine: a case that says nothing runs in all of them.
const TIERS: [&str; 3] = ["jit", "baseline", "jitless"];

/// A text that is given, or whose length is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    Text(String),
    Bytes(usize),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Status {
    Completed(Wanted),
    Failed(FailureKind),
    TimedOut,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Result,
    Preview,
    Error,
}

#[derive(Debug)]
pub(super) struct Expected {
    pub(super) status: Status,
    pub(super) preview: Option<String>,
    pub(super) output: Wanted,
    pub(super) error_parts: Vec<String>,
    pub(super) error_exact: Option<String>,
    pub(super) truncated: Vec<Field>,
}

/// What is wrong with a directive.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// There is none of this name.
    #[error("no directive is called {0:?}")]
    Unknown(String),
    /// A directive behind the script's first line.
    #[error("a directive behind the header")]
    BehindHeader,
    /// It may be given once.
    #[error("given twice")]
    Twice,
    /// The text is no JSON string.
    #[error("not a JSON string: {0}")]
    Json(#[from] serde_json::Error),
    /// Neither a text nor a length.
    #[error("{0:?} is not what this directive takes")]
    Value(String),
    /// A directive that this status cannot have.
    #[error("`{0}:` cannot go with this status")]
    Contradiction(&'static str),
}

/// Reads the directives of a case; each begins with `marker`.
pub(super) fn parse(
    name: String,
    source: String,
    text: &str,
    marker: &str,
) -> Result<Case, CaseError> {
    let mut header = Header::default();
    let mut inside = true;
    for (index, line) in text.lines().enumerate() {
        let fail = |fault| CaseError::Directive {
            name: name.clone(),
            line: index + 1,
            fault,
        };
        let directive = line.strip_prefix(marker).and_then(split_directive);
        match directive {
            Some((key, value)) if inside => header.take(key, value).map_err(fail)?,
            Some((key, _)) if DIRECTIVES.contains(&key) => return Err(fail(Fault::BehindHeader)),
            Some(_) => {}
            None if marker.is_empty() && !line.is_empty() => {
                return Err(fail(Fault::Unknown(line.to_owned())));
            }
            None => inside = false,
        }
    }
    let Some(status) = header.status.take() else {
        return Err(CaseError::NoExpectation { name });
    };
    let expected = header
        .expected(status)
        .map_err(|fault| CaseError::Directive {
            name: name.clone(),
            line: 1,
            fault,
        })?;
    Ok(Case {
        name,
        source,
        expected,
        heap_mb: header.heap_mb.unwrap_or(HEAP_MB),
        timeout_secs: header.timeout_secs.unwrap_or(TIMEOUT_SECS),
        tiers: header.tiers.unwrap_or(TIERS.to_vec()),
        is_for_heaps: header.is_for_heaps.unwrap_or(true),
        grants: header.grants.unwrap_or_default(),
    })
}

/// `word: value`, where the word is one that a directive could have.
fn split_directive(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line
        .split_once(": ")
        .or(line.strip_suffix(':').map(|key| (key, "")))?;
    let is_word = !key.is_empty() && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    is_word.then_some((key, value.trim_end()))
}

#[derive(Default)]
struct Header {
    status: Option<Status>,
    preview: Option<String>,
    output: Option<Wanted>,
    error_parts: Vec<String>,
    error_exact: Option<String>,
    truncated: Vec<Field>,
    heap_mb: Option<u64>,
    timeout_secs: Option<u32>,
    tiers: Option<Vec<&'static str>>,
    is_for_heaps: Option<bool>,
    grants: Option<Grants>,
}

impl Header {
    fn take(&mut self, key: &str, value: &str) -> Result<(), Fault> {
        match key {
            "expect" => once(&mut self.status, status(value)?),
            "preview" => once(&mut self.preview, serde_json::from_str(value)?),
            "output" => {
                let more = wanted(value)?;
                self.output = Some(match (self.output.take(), more) {
                    (None, wanted) => wanted,
                    (Some(Wanted::Text(text)), Wanted::Text(more)) => Wanted::Text(text + &more),
                    (Some(_), _) => return Err(Fault::Twice),
                });
                Ok(())
            }
            "error" => {
                self.error_parts.push(serde_json::from_str(value)?);
                Ok(())
            }
            "error_exact" => once(&mut self.error_exact, serde_json::from_str(value)?),
            "truncated" => {
                self.truncated.push(match value {
                    "result" => Field::Result,
                    "preview" => Field::Preview,
                    "error" => Field::Error,
                    other => return Err(Fault::Value(other.to_owned())),
                });
                Ok(())
            }
            "limits" => self.limits(value),
            "tiers" => once(&mut self.tiers, tiers(value)?),
            "heaps" => once(&mut self.is_for_heaps, yes_or_no(value)?),
            "grants" => once(&mut self.grants, grants(value)?),
            other => Err(Fault::Unknown(other.to_owned())),
        }
    }

    fn limits(&mut self, value: &str) -> Result<(), Fault> {
        let wrong = || Fault::Value(value.to_owned());
        for limit in value.split_whitespace() {
            match limit.split_once('=').ok_or_else(wrong)? {
                ("heap_mb", n) => once(&mut self.heap_mb, n.parse().map_err(|_| wrong())?)?,
                ("timeout_secs", n) => {
                    once(&mut self.timeout_secs, n.parse().map_err(|_| wrong())?)?;
                }
                _ => return Err(wrong()),
            }
        }
        Ok(())
    }

    fn expected(&mut self, status: Status) -> Result<Expected, Fault> {
        let has_error = !self.error_parts.is_empty() || self.error_exact.is_some();
        if has_error && !matches!(status, Status::Failed(_)) {
            return Err(Fault::Contradiction("error"));
        }
        if self.preview.is_some() && !matches!(status, Status::Completed(_)) {
            return Err(Fault::Contradiction("preview"));
        }
        Ok(Expected {
            status,
            preview: self.preview.take(),
            output: self.output.take().unwrap_or(Wanted::Text(String::new())),
            error_parts: std::mem::take(&mut self.error_parts),
            error_exact: self.error_exact.take(),
            truncated: std::mem::take(&mut self.truncated),
        })
    }
}

fn yes_or_no(value: &str) -> Result<bool, Fault> {
    match value {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err(Fault::Value(value.to_owned())),
    }
}

fn grants(value: &str) -> Result<Grants, Fault> {
    match value {
        "fetch" => Ok(Grants { fetch: true }),
        _ => Err(Fault::Value(value.to_owned())),
    }
}

fn tiers(value: &str) -> Result<Vec<&'static str>, Fault> {
    let tier = |word| TIERS.into_iter().find(|tier| *tier == word);
    let tiers: Option<Vec<_>> = value.split_whitespace().map(tier).collect();
    tiers.ok_or_else(|| Fault::Value(value.to_owned()))
}

fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), Fault> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Fault::Twice),
    }
}

fn wanted(value: &str) -> Result<Wanted, Fault> {
    match value.strip_suffix(" bytes") {
        Some(number) if !value.starts_with('"') => number
            .parse()
            .map(Wanted::Bytes)
            .map_err(|_| Fault::Value(value.to_owned())),
        _ => Ok(Wanted::Text(serde_json::from_str(value)?)),
    }
}

fn status(value: &str) -> Result<Status, Fault> {
    let (word, rest) = value.split_once(' ').unwrap_or((value, ""));
    match word {
        "completed" => Ok(Status::Completed(wanted(rest)?)),
        "timed_out" if rest.is_empty() => Ok(Status::TimedOut),
        "failed" => KINDS
            .iter()
            .find(|(name, _)| *name == rest)
            .map(|(_, kind)| Status::Failed(*kind))
            .ok_or_else(|| Fault::Value(value.to_owned())),
        _ => Err(Fault::Value(value.to_owned())),
    }
}

const KINDS: [(&str, FailureKind); 6] = [
    ("syntax", FailureKind::Syntax),
    ("exception", FailureKind::Exception),
    ("unhandled_rejection", FailureKind::UnhandledRejection),
    (
        "nothing_left_to_wait_for",
        FailureKind::NothingLeftToWaitFor,
    ),
    ("unprintable", FailureKind::Unprintable),
    ("memory", FailureKind::Memory),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Case, CaseError> {
        parse("t/c.js".to_owned(), text.to_owned(), text, "// ")
    }

    #[test]
    fn a_header_is_read() {
        let case = parsed(
            "// expect: completed \"2\"\n// output: \"a\\n\"\n// output: \"b\\n\"\n\
             // limits: heap_mb=4 timeout_secs=3\n// Why: so.\n1 + 1",
        )
        .unwrap();
        assert_eq!(
            case.expected.status,
            Status::Completed(Wanted::Text("2".to_owned()))
        );
        assert_eq!(case.expected.output, Wanted::Text("a\nb\n".to_owned()));
        assert_eq!((case.heap_mb, case.timeout_secs), (4, 3));
    }

    #[test]
    fn mistakes_are_refused() {
        for text in [
            "1",
            "// expect: complete \"2\"\n2",
            "// expect: completed 2\n2",
            "// expect: failed\n2",
            "// expects: completed \"2\"\n2",
            "// expect: completed \"2\"\n// expect: timed_out\n2",
            "// expect: completed \"2\"\n2\n// output: \"late\"",
            "// expect: completed \"2\"\n// limits: heap=2\n2",
            "// expect: timed_out\n// error: \"x\"\n2",
            "// expect: timed_out\n// output: 3 bytes\n// output: \"x\"\n2",
        ] {
            assert!(parsed(text).is_err(), "{text}");
        }
    }

    #[test]
    fn expectations_beside_a_script_have_no_slashes() {
        let case = parse(
            "t/c.js".to_owned(),
            "1".to_owned(),
            "expect: timed_out\n",
            "",
        );
        assert_eq!(case.unwrap().expected.status, Status::TimedOut);
        assert!(parse("t/c.js".to_owned(), "1".to_owned(), "expect timed_out", "").is_err());
    }
}
