//! Console output as clients see it.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;

use super::schema::one_of;
use crate::app::{ExecutionId, OutputPage, Status};

/// A page of console output, with its place in lines and in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Output {
    /// The id of the execution.
    pub execution_id: String,
    /// The text. Lines are joined by \n, without the newline of the last one.
    pub data: String,
    /// The first line of the page, from 1.
    pub start_line: u64,
    /// The last line of the page (inclusive).
    pub end_line: u64,
    /// The line_offset of the next page.
    pub next_line_offset: u64,
    /// Lines so far.
    pub total_lines: u64,
    /// The first byte of the page, from 0.
    pub start_byte: u64,
    /// The byte after the last one of the page (exclusive).
    pub end_byte: u64,
    /// The byte_offset of the next page.
    pub next_byte_offset: u64,
    /// Bytes so far.
    pub total_bytes: u64,
    /// Whether there is more behind this page by now. While the execution is queued or running,
    /// more may come.
    pub has_more: bool,
    /// Where the execution stands.
    #[schemars(schema_with = "status")]
    pub status: &'static str,
}

fn status(_: &mut SchemaGenerator) -> Schema {
    one_of(Status::ALL.iter().map(|status| status.name()), false)
}

impl Output {
    /// The page of that execution.
    pub fn new(id: ExecutionId, page: OutputPage) -> Self {
        Self {
            execution_id: id.to_string(),
            data: page.data,
            start_line: page.start_line,
            end_line: page.end_line,
            next_line_offset: page.next_line_offset,
            total_lines: page.total_lines,
            start_byte: page.start_byte,
            end_byte: page.end_byte,
            next_byte_offset: page.next_byte_offset,
            total_bytes: page.total_bytes,
            has_more: page.has_more,
            status: page.status.name(),
        }
    }
}

/// A piece of a stream of console output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct OutputPiece {
    /// The text, newlines included: all pieces one after another are the output.
    pub data: String,
    /// Its first byte in the output, from 0.
    pub start_byte: u64,
    /// The byte_offset of the next piece.
    pub next_byte_offset: u64,
}

impl From<OutputPage> for OutputPiece {
    fn from(page: OutputPage) -> Self {
        Self {
            data: page.data,
            start_byte: page.start_byte,
            next_byte_offset: page.next_byte_offset,
        }
    }
}
