//! Script specifications: what a script gives, as data.
//!
//! A case is a file `tests/specs/<topic>/<case>.js` or `.ts`. The whole file is the script; its
//! first lines are directives in comments, so positions in errors count them. A source that may not
//! begin with comments has its directives in `<case>.js.expect`, without the slashes.
//!
//! ```text
//! // expect: completed "2"          status and result; texts are JSON strings
//! // expect: completed 1048576 bytes    or only its length
//! // expect: failed exception       syntax, exception, unhandled_rejection,
//! //                                nothing_left_to_wait_for, unprintable, memory
//! // expect: timed_out
//! // preview: "{ a: 0 }"            exact
//! // output: "hi [ 1 ]\n"           exact; several are concatenated; none means no output
//! // output: 1000000 bytes          or only its length
//! // error: "TypeError: x"          part of the error; several must all be there
//! // error_exact: "..."             the whole error
//! // truncated: result              result, preview or error was cut; the others were not
//! // limits: heap_mb=8 timeout_secs=20
//! // tiers: jit baseline            where it holds; without it, in all three
//! // heaps: no                      it does not hold where heaps are kept
//! // grants: fetch                  what the script may ask for; nobody answers
//! ```
//!
//! A line of a header that is no directive ends it; a directive behind that is a mistake.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mcp_v8_protocol::limits::SNAPSHOT_BYTES_MAX;
use mcp_v8_protocol::message::{
    Completion, ExecutionLimits, Failure, FailureKind, Finished, Grants, HeapUse, Start, Text,
};

use crate::worker::{Conversation, End};

mod header;

pub use header::Fault;
use header::{Expected, Field, Status, Wanted, parse};

/// What no error may show: scripts of the runtime itself.
const INTERNAL_SCRIPTS: &str = "ext:";

/// One case.
#[derive(Debug)]
pub struct Case {
    /// `<topic>/<case>.js`.
    pub name: String,
    /// The script.
    pub source: String,
    expected: Expected,
    heap_mb: u64,
    timeout_secs: u32,
    tiers: Vec<&'static str>,
    is_for_heaps: bool,
    grants: Grants,
}

/// Why a file is no case.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    /// It cannot be read.
    #[error("{}: {source}", .path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file that is neither script nor expectations.
    #[error("{}: neither .js nor .ts, nor the .expect of one", .0.display())]
    Stray(PathBuf),
    /// A directive that is wrong.
    #[error("{name}:{line}: {fault}")]
    Directive {
        /// Which case.
        name: String,
        /// Which line of the file with directives.
        line: usize,
        /// What is wrong.
        fault: Fault,
    },
    /// No directive says how it ends.
    #[error("{name}: no `expect:`")]
    NoExpectation {
        /// Which case.
        name: String,
    },
}

/// Reads every case under a directory of topics, in the order of their names.
///
/// # Errors
/// [`CaseError`] for the first file that is no case.
pub fn load(root: &Path) -> Result<Vec<Case>, CaseError> {
    let mut cases = Vec::new();
    for topic in entries(root)? {
        for path in entries(&topic)? {
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("js" | "ts") => cases.push(read(root, &path)?),
                Some("expect") if path.with_extension("").is_file() => {}
                _ => return Err(CaseError::Stray(path)),
            }
        }
    }
    Ok(cases)
}

fn entries(directory: &Path) -> Result<Vec<PathBuf>, CaseError> {
    let fail = |source| CaseError::Read {
        path: directory.to_owned(),
        source,
    };
    let listed = fs::read_dir(directory).map_err(fail)?;
    let mut paths = listed
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<Vec<_>>>()
        .map_err(fail)?;
    paths.sort();
    Ok(paths)
}

fn read(root: &Path, path: &Path) -> Result<Case, CaseError> {
    let text = |path: &Path| {
        fs::read_to_string(path).map_err(|source| CaseError::Read {
            path: path.to_owned(),
            source,
        })
    };
    let name = path
        .strip_prefix(root)
        .unwrap_or(path)
        .display()
        .to_string();
    let source = text(path)?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(".expect");
    let beside = PathBuf::from(beside);
    if beside.is_file() {
        let directives = text(&beside)?;
        parse(name, source, &directives, "")
    } else {
        parse(name, source.clone(), &source, "// ")
    }
}

impl Case {
    /// What the worker is told.
    pub fn start(&self, heap: HeapUse) -> Start {
        let bytes = self.heap_mb << 20;
        Start {
            source: self.source.clone(),
            limits: ExecutionLimits {
                heap_bytes: bytes,
                buffer_bytes: bytes,
                cpu_seconds: self.timeout_secs + 5,
                snapshot_bytes: match heap {
                    HeapUse::Discard => 0,
                    HeapUse::New | HeapUse::Continue { .. } => SNAPSHOT_BYTES_MAX,
                },
            },
            heap,
            grants: self.grants,
        }
    }

    /// Whether it holds where heaps are kept: there web globals are loaded when they are first used, and
    /// what a script has changed of the language before that is theirs too.
    pub fn is_for_heaps(&self) -> bool {
        self.is_for_heaps
    }

    /// Whether it holds in this tier of the engine.
    pub fn is_for(&self, tier: &str) -> bool {
        self.tiers.contains(&tier)
    }

    /// When the worker is killed, from Start.
    pub fn deadline(&self) -> Duration {
        Duration::from_secs(self.timeout_secs.into())
    }

    /// What differs from the expectation, readably; empty when nothing does.
    pub fn differences(&self, actual: &Conversation) -> Vec<String> {
        let expected = &self.expected;
        let mut found = Vec::new();
        match (&expected.status, &actual.end) {
            (Status::Completed(result), End::Finished(Finished::Completed(done))) => {
                self.completion(result, done, &mut found);
            }
            (Status::Failed(kind), End::Finished(Finished::Failed(failure))) => {
                self.failure(*kind, failure, &mut found);
            }
            (Status::TimedOut, End::TimedOut) => {}
            (status, end) => found.push(format!(
                "status\n      expected {status:?}\n      actual   {}",
                describe(end)
            )),
        }
        compare("output", &expected.output, &actual.console, &mut found);
        found
    }

    fn completion(&self, result: &Wanted, done: &Completion, found: &mut Vec<String>) {
        compare("result", result, &done.result.text, found);
        if let Some(preview) = &self.expected.preview {
            let preview = Wanted::Text(preview.clone());
            compare("preview", &preview, &done.preview.text, found);
        }
        self.cut(Field::Result, &done.result, found);
        self.cut(Field::Preview, &done.preview, found);
    }

    fn failure(&self, kind: FailureKind, failure: &Failure, found: &mut Vec<String>) {
        let error = &failure.error.text;
        if failure.kind != kind {
            found.push(format!(
                "kind\n      expected {kind:?}\n      actual   {:?}: {error:?}",
                failure.kind
            ));
        }
        for part in &self.expected.error_parts {
            if !error.contains(part) {
                found.push(format!(
                    "error\n      with     {part:?}\n      actual   {error:?}"
                ));
            }
        }
        if let Some(exact) = &self.expected.error_exact {
            compare("error", &Wanted::Text(exact.clone()), error, found);
        }
        if error.contains(INTERNAL_SCRIPTS) {
            found.push(format!(
                "error\n      without  \"ext:\"\n      actual   {error:?}"
            ));
        }
        self.cut(Field::Error, &failure.error, found);
    }

    fn cut(&self, field: Field, actual: &Text, found: &mut Vec<String>) {
        if self.expected.truncated.contains(&field) != actual.truncated {
            found.push(format!("{field:?} truncated: actual {}", actual.truncated));
        }
    }
}

fn compare(what: &str, expected: &Wanted, actual: &str, found: &mut Vec<String>) {
    match expected {
        Wanted::Text(text) if text == actual => {}
        Wanted::Text(text) => found.push(format!(
            "{what}\n      expected {}\n      actual   {}",
            bounded(text),
            bounded(actual)
        )),
        Wanted::Bytes(bytes) if *bytes == actual.len() => {}
        Wanted::Bytes(bytes) => found.push(format!(
            "{what}\n      expected {bytes} bytes\n      actual   {} bytes",
            actual.len()
        )),
    }
}

fn describe(end: &End) -> String {
    match end {
        End::Finished(Finished::Completed(done)) => {
            format!("completed {}", bounded(&done.result.text))
        }
        End::Finished(Finished::Failed(failure)) => {
            format!(
                "failed {:?}: {}",
                failure.kind,
                bounded(&failure.error.text)
            )
        }
        End::TimedOut => "timed out".to_owned(),
        End::Died { status, stderr } => format!("died: {status}; it wrote {}", bounded(stderr)),
    }
}

/// A text in quotes, not longer than a person reads.
fn bounded(text: &str) -> String {
    const BYTES_MAX: usize = 4_000;
    if text.len() <= BYTES_MAX {
        return format!("{text:?}");
    }
    let shown = &text[..text.floor_char_boundary(BYTES_MAX)];
    format!("{shown:?}... ({} bytes)", text.len())
}
