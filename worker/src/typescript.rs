//! TypeScript to JavaScript, by removing what JavaScript does not have.
//!
//! Types are blanked: each is replaced by as many spaces, so every position stays that of the source,
//! and a source without types stays as it is, byte for byte. What cannot be blanked because it has
//! meaning at run time (enums, namespaces, parameter properties) is lowered, and positions are mapped
//! back. A source that TypeScript's grammar refuses goes to V8 as it is: it is either sloppy
//! JavaScript, or wrong, and then V8 says why.

use std::panic::{AssertUnwindSafe, catch_unwind};

use deno_core::sourcemap::SourceMap;
use serde_json::json;
use swc_common::errors::Handler;
use swc_common::sync::Lrc;
use swc_common::{GLOBALS, Globals};
use swc_ts_fast_strip::{ErrorCode, Mode, Options, TransformOutput, operate};

use crate::runtime::Position;

/// Brackets nested deeper than this go to V8 unread: swc's parser recurses without a limit, V8's has
/// one.
const NESTING_MAX: usize = 1_000;

/// A source that V8 can read.
#[derive(Debug)]
pub(crate) struct Lowered {
    /// JavaScript.
    pub(crate) source: String,
    /// Where its parts come from, when they have moved.
    pub(crate) positions: Option<PositionMap>,
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
    let as_it_is = || Lowered {
        source: source.to_owned(),
        positions: None,
    };
    if nesting(source) > NESTING_MAX {
        return as_it_is();
    }
    match strip(source, Mode::StripOnly) {
        Ok(output) => Lowered {
            source: output.code,
            positions: None,
        },
        Err(ErrorCode::UnsupportedSyntax) => match strip(source, Mode::Transform) {
            Ok(TransformOutput { code, map }) => {
                let map = map.and_then(|map| SourceMap::from_slice(map.as_bytes()).ok());
                Lowered {
                    source: code,
                    positions: map.map(PositionMap),
                }
            }
            Err(_) => as_it_is(),
        },
        Err(_) => as_it_is(),
    }
}

fn strip(source: &str, mode: Mode) -> Result<TransformOutput, ErrorCode> {
    // The options' types come from crates that are not worth a dependency; their serde form is public.
    let options = match mode {
        Mode::StripOnly => json!({ "mode": "strip-only" }),
        Mode::Transform => json!({
            "mode": "transform",
            "sourceMap": true,
            "transform": { "noEmptyExport": true, "nativeClassProperties": true, "verbatimModuleSyntax": true },
        }),
    };
    let options: Options = serde_json::from_value(options).map_err(|_| ErrorCode::Unknown)?;
    let parse = || {
        GLOBALS.set(&Globals::default(), || {
            let files: Lrc<swc_common::SourceMap> = Lrc::default();
            // What it would print is of no use: V8 reports what is wrong.
            let handler =
                Handler::with_emitter_writer(Box::new(std::io::sink()), Some(files.clone()));
            operate(&files, &handler, source.to_owned(), options).map_err(|error| error.code)
        })
    };
    // A defect of the parser must not cost a script that V8 understands.
    catch_unwind(AssertUnwindSafe(parse)).unwrap_or(Err(ErrorCode::Unknown))
}

/// The deepest nesting of brackets, strings and comments not told apart: an upper bound.
fn nesting(source: &str) -> usize {
    let (mut depth, mut deepest) = (0usize, 0);
    for byte in source.bytes() {
        match byte {
            b'(' | b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
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
        let source = "[".repeat(100_000);
        assert_eq!(lower(&source).source, source);
    }
}
