//! TypeScript to JavaScript, by removing what JavaScript does not have.
//!
//! Types are blanked: each is replaced by as many spaces, so every position stays that of the source,
//! and a source without types stays as it is, byte for byte. What cannot be blanked because it has
//! meaning at run time (enums, namespaces, parameter properties) is lowered, and positions are mapped
//! back. A source that TypeScript's grammar refuses goes to V8 as it is: it is either sloppy
//! JavaScript, or wrong. If it is wrong, the parser that came further says why: of a source with
//! types, V8 would only say that it does not know types.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use deno_core::sourcemap::SourceMap;
use serde_json::json;
use swc_common::errors::{DiagnosticBuilder, Emitter, Handler};
use swc_common::sync::Lrc;
use swc_common::{GLOBALS, Globals};
use swc_ts_fast_strip::{ErrorCode, Mode, Options, TransformOutput, operate};

use crate::runtime::Position;

/// Brackets nested deeper than this go to V8 unread: swc's parser recurses without a limit, V8's has
/// one.
const NESTING_MAX: usize = 1_000;

/// So does a stretch of more than so many words and operators with no end of a statement or list in
/// it, which is how things nest without brackets (`a => b => ...`, `if (a) if (b) ...`).
const STRETCH_MAX: usize = 10_000;

/// A source that V8 can read, or that it will say is wrong.
#[derive(Debug)]
pub(crate) struct Lowered {
    /// JavaScript.
    pub(crate) source: String,
    /// Where its parts come from, when they have moved.
    pub(crate) positions: Option<PositionMap>,
    /// What TypeScript's parser says of a source that it refuses.
    pub(crate) complaint: Option<Complaint>,
}

impl Lowered {
    fn as_it_is(source: &str, complaint: Option<Complaint>) -> Self {
        Self {
            source: source.to_owned(),
            positions: None,
            complaint,
        }
    }
}

/// Why a source is not TypeScript.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Complaint {
    /// What was expected.
    pub(crate) message: String,
    /// Where.
    pub(crate) at: Position,
}

/// From positions in lowered code to positions in its source.
#[derive(Debug)]
pub(crate) struct PositionMap(SourceMap);

impl PositionMap {
    /// The position in the source; the given one when nothing is known about it.
    pub(crate) fn original(&self, at: Position) -> Position {
        match self
            .0
            .lookup_token(at.line.saturating_sub(1), at.column.saturating_sub(1))
        {
            Some(token) => Position {
                line: token.get_src_line() + 1,
                column: token.get_src_col() + 1,
            },
            None => at,
        }
    }
}

/// Makes JavaScript of TypeScript or JavaScript.
pub(crate) fn lower(source: &str) -> Lowered {
    if is_too_deep(source) {
        return Lowered::as_it_is(source, None);
    }
    match strip(source, Mode::StripOnly) {
        Ok(output) => Lowered {
            source: blank(source, &output.code),
            positions: None,
            complaint: None,
        },
        Err(Refusal {
            code: ErrorCode::UnsupportedSyntax,
            ..
        }) => lower_fully(source),
        Err(refusal) => Lowered::as_it_is(source, refusal.complaint),
    }
}

fn lower_fully(source: &str) -> Lowered {
    // A script that gives itself another name would have its frames under that one, unmapped.
    let nameless = source.replace("//# sourceURL=", "//  sourceURL=");
    match strip(&nameless, Mode::Transform) {
        Ok(TransformOutput { code, map }) => Lowered {
            source: code,
            positions: map
                .and_then(|map| SourceMap::from_slice(map.as_bytes()).ok())
                .map(PositionMap),
            complaint: None,
        },
        Err(refusal) => Lowered::as_it_is(source, refusal.complaint),
    }
}

/// The source with what swc blanked as blanks of the same width in UTF-16, which is what V8 counts
/// columns in. (swc keeps the width in bytes.)
fn blank(source: &str, stripped: &str) -> String {
    if source.len() != stripped.len() {
        return stripped.to_owned();
    }
    let mut blanked = String::with_capacity(source.len());
    for (at, character) in source.char_indices() {
        let there = &stripped.as_bytes()[at..at + character.len_utf8()];
        let mut width = character.len_utf16();
        if there == &source.as_bytes()[at..at + character.len_utf8()] {
            blanked.push(character);
            continue;
        }
        // swc puts a bracket or a semicolon where blanks alone would change the meaning.
        if let Some(mark) = there.iter().find(|byte| byte.is_ascii_graphic()) {
            blanked.push(char::from(*mark));
            width -= 1;
        }
        blanked.extend(std::iter::repeat_n(' ', width));
    }
    blanked
}

/// Why swc gave nothing.
struct Refusal {
    code: ErrorCode,
    complaint: Option<Complaint>,
}

fn strip(source: &str, mode: Mode) -> Result<TransformOutput, Refusal> {
    // The options' types come from crates that are not worth a dependency; their serde form is public.
    let options = match mode {
        Mode::StripOnly => json!({ "mode": "strip-only" }),
        Mode::Transform => json!({
            "mode": "transform",
            "sourceMap": true,
            "transform": { "noEmptyExport": true, "nativeClassProperties": true, "verbatimModuleSyntax": true },
        }),
    };
    let unknown = || Refusal {
        code: ErrorCode::Unknown,
        complaint: None,
    };
    let options: Options = serde_json::from_value(options).map_err(|_| unknown())?;
    let parse = || {
        GLOBALS.set(&Globals::default(), || {
            let files: Lrc<swc_common::SourceMap> = Lrc::default();
            let first = Arc::new(Mutex::new(None));
            let listener = Listener {
                first: Arc::clone(&first),
                files: files.clone(),
            };
            let handler = Handler::with_emitter(true, false, Box::new(listener));
            operate(&files, &handler, source.to_owned(), options).map_err(|error| Refusal {
                code: error.code,
                complaint: first.lock().unwrap_or_else(PoisonError::into_inner).take(),
            })
        })
    };
    // A defect of the parser must not cost a script that V8 understands.
    catch_unwind(AssertUnwindSafe(parse)).unwrap_or_else(|_| Err(unknown()))
}

/// Keeps the first thing that swc complains of.
struct Listener {
    first: Arc<Mutex<Option<Complaint>>>,
    files: Lrc<swc_common::SourceMap>,
}

impl Emitter for Listener {
    fn emit(&mut self, diagnostic: &mut DiagnosticBuilder<'_>) {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        let (None, Some(span)) = (&*first, diagnostic.span.primary_span()) else {
            return;
        };
        let place = self.files.lookup_char_pos(span.lo);
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let at = Position {
            line: number(place.line),
            column: number(place.col.0 + 1),
        };
        *first = Some(Complaint {
            message: diagnostic.message(),
            at,
        });
    }
}

/// Whether a parser that recurses might run out of stack. Strings and comments are not told apart:
/// an upper bound, cheap enough for every script.
fn is_too_deep(source: &str) -> bool {
    let (mut depth, mut stretch, mut was_word) = (0usize, 0usize, false);
    for byte in source.bytes() {
        let is_word = byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80;
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' => depth = depth.saturating_sub(1),
            b'}' => (depth, stretch) = (depth.saturating_sub(1), 0),
            b';' | b',' => stretch = 0,
            _ if byte.is_ascii_whitespace() || (is_word && was_word) => {}
            _ => stretch += 1,
        }
        was_word = is_word;
        if depth > NESTING_MAX || stretch > STRETCH_MAX {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn javascript_stays_as_it_is() {
        for source in [
            "1 + 1",
            "let x = await f(); x",
            "with (o) { y }",
            "a\n/* é */ ?? 'ü'",
            "010",
            "",
        ] {
            assert_eq!(lower(source).source, source);
        }
    }

    #[test]
    fn types_become_as_many_spaces() {
        let source = "const p: Point<string> = { n: 1 } as Point<string>; p.n";
        let lowered = lower(source).source;
        assert_eq!(lowered.len(), source.len());
        assert_eq!(
            lowered,
            "const p                = { n: 1 }                 ; p.n"
        );
    }

    #[test]
    fn blanks_are_as_wide_as_what_they_replace() {
        let source = "let a: '😀é' = 1 as '€'; throw a";
        let lowered = lower(source).source;
        let widths = |text: &str| text.encode_utf16().count();
        assert_eq!(widths(&lowered), widths(source), "{lowered}");
        assert_eq!(lowered.replace(' ', ""), "leta=1;throwa");
    }

    #[test]
    fn a_source_that_is_wrong_is_left_to_v8_with_a_complaint() {
        let lowered = lower("const a: number = 1;\n  '😀' +* 2");
        assert!(lowered.source.contains(": number"));
        let complaint = lowered.complaint.expect("it is not TypeScript");
        assert_eq!(
            complaint.at,
            Position { line: 2, column: 9 },
            "{complaint:?}"
        );
    }

    #[test]
    fn enums_are_lowered_and_positions_mapped_back() {
        let lowered = lower("enum A { X = 1 }\n\n  throw new Error(String(A.X))");
        let positions = lowered.positions.expect("an enum moves code");
        let (index, line) = lowered
            .source
            .lines()
            .enumerate()
            .find(|(_, line)| line.contains("throw"))
            .unwrap();
        let at = Position {
            line: u32::try_from(index).unwrap() + 1,
            column: u32::try_from(line.find("throw").unwrap()).unwrap() + 1,
        };
        assert_eq!(positions.original(at), Position { line: 3, column: 3 });
    }

    #[test]
    fn deep_nesting_is_left_to_v8() {
        for source in [
            "[".repeat(100_000),
            "a=>".repeat(100_000),
            "if(a)".repeat(100_000),
        ] {
            assert!(is_too_deep(&source));
            assert_eq!(lower(&source).source, source);
        }
        assert!(!is_too_deep(
            &"let a = [1, 2]; f(a => a + 1);\n".repeat(10_000)
        ));
    }
}
