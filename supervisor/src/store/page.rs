//! Pages of output: a place is found by an index, and read on from there. The whole is never
//! rebuilt.

use rusqlite::{Connection, params};

use super::error::StoreError;
use super::read::{self, OutputTotals, StoredChunk};
use super::record::{ExecutionId, OutputPage, PageRequest};
use super::write::integer;
use crate::limits::PAGE_BYTES_MAX;
use crate::tenant::Tenant;

/// A place in an output.
#[derive(Debug, Clone, Copy)]
struct Place {
    byte: u64,
    line: u64,
}

/// Reads a page; `None` when this tenant has no such execution. Must be called within a transaction, so
/// that totals and pieces belong together.
pub(super) fn page(
    connection: &Connection,
    tenant: &Tenant,
    id: ExecutionId,
    request: PageRequest,
) -> Result<Option<OutputPage>, StoreError> {
    let Some(totals) = read::output_totals(connection, tenant, id)? else {
        return Ok(None);
    };
    let page = match request {
        PageRequest::Lines { offset, limit } => lines(connection, totals, offset, limit)?,
        PageRequest::Bytes { offset, limit } => bytes(connection, totals, offset, limit)?,
    };
    Ok(Some(page))
}

impl OutputTotals {
    fn lines(&self) -> u64 {
        self.newlines + u64::from(self.mid_line)
    }

    /// The line in which the next byte will be. A last line without a newline is finished by the
    /// end of its execution.
    fn next_line(&self) -> u64 {
        let finished = self.mid_line && self.status.is_end();
        self.newlines + 1 + u64::from(finished)
    }

    fn empty_page(&self) -> OutputPage {
        OutputPage {
            data: String::new(),
            start_line: self.next_line(),
            end_line: self.next_line() - 1,
            next_line_offset: self.next_line(),
            total_lines: self.lines(),
            start_byte: self.bytes,
            end_byte: self.bytes,
            next_byte_offset: self.bytes,
            total_bytes: self.bytes,
            has_more: false,
            status: self.status,
        }
    }
}

fn bytes(
    connection: &Connection,
    totals: OutputTotals,
    offset: u64,
    limit: u64,
) -> Result<OutputPage, StoreError> {
    if offset >= totals.bytes {
        return Ok(totals.empty_page());
    }
    let chunk =
        read::chunk_at_byte(connection, totals.execution, offset)?.ok_or(StoreError::Gap)?;
    let mut within = index(offset - chunk.start_byte);
    while !is_character_start(chunk.data.get(within).copied().ok_or(StoreError::Gap)?) {
        within = within.checked_sub(1).ok_or(StoreError::Gap)?;
    }
    let start = chunk.place_of(within);
    let limit = index(limit);
    // One character more than the limit shows whether the last one fits.
    let text = read_from(connection, totals, start.byte, |text| {
        text.len() >= limit.saturating_add(4)
    })?;
    let mut text = into_text(text)?;
    if text.len() > limit {
        let first = text.chars().next().map_or(0, char::len_utf8);
        text.truncate(text.floor_char_boundary(limit).max(first));
    }
    let newlines = newlines(text.as_bytes());
    let ends_with_newline = text.ends_with('\n');
    let end_byte = start.byte + text.len() as u64;
    Ok(OutputPage {
        start_line: start.line,
        end_line: start.line + newlines - u64::from(ends_with_newline),
        next_line_offset: if end_byte == totals.bytes {
            totals.next_line()
        } else {
            start.line + newlines
        },
        total_lines: totals.lines(),
        start_byte: start.byte,
        end_byte,
        next_byte_offset: end_byte,
        total_bytes: totals.bytes,
        has_more: end_byte < totals.bytes,
        status: totals.status,
        data: text,
    })
}

fn lines(
    connection: &Connection,
    totals: OutputTotals,
    offset: u64,
    limit: u64,
) -> Result<OutputPage, StoreError> {
    if offset > totals.lines() {
        return Ok(totals.empty_page());
    }
    let start_byte = start_of_line(connection, totals, offset)?;
    let mut seen = 0;
    let mut found = 0;
    let mut raw = read_from(connection, totals, start_byte, |text| {
        found += newlines(&text[seen..]);
        seen = text.len();
        found >= limit || text.len() as u64 > PAGE_BYTES_MAX
    })?;
    if let Some(end) = end_of_lines(&raw, limit) {
        raw.truncate(end);
    }
    let cut = raw.len() as u64 > PAGE_BYTES_MAX;
    if cut {
        // Whole lines if there are any; else the beginning of the one.
        let fits = &raw[..index(PAGE_BYTES_MAX)];
        let end = fits
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or_else(|| last_character_end(fits), |at| at + 1);
        raw.truncate(end);
    }
    let end_byte = start_byte + raw.len() as u64;
    let ends_with_newline = raw.last() == Some(&b'\n');
    let end_line = offset + newlines(&raw) - u64::from(ends_with_newline);
    if ends_with_newline {
        raw.pop();
    }
    Ok(OutputPage {
        data: into_text(raw)?,
        start_line: offset,
        end_line,
        next_line_offset: if end_byte == totals.bytes {
            totals.next_line()
        } else {
            end_line + 1
        },
        total_lines: totals.lines(),
        start_byte,
        end_byte,
        next_byte_offset: end_byte,
        total_bytes: totals.bytes,
        has_more: end_byte < totals.bytes,
        status: totals.status,
    })
}

/// The first byte of a line that exists.
fn start_of_line(
    connection: &Connection,
    totals: OutputTotals,
    line: u64,
) -> Result<u64, StoreError> {
    let newline = line - 1;
    if newline == 0 {
        return Ok(0);
    }
    let chunk =
        read::chunk_at_newline(connection, totals.execution, newline)?.ok_or(StoreError::Gap)?;
    let within = chunk
        .data
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'\n')
        .nth(index(newline - chunk.newlines_before - 1))
        .ok_or(StoreError::Gap)?;
    Ok(chunk.start_byte + within.0 as u64 + 1)
}

/// Reads from a byte on, piece by piece, until `enough` or the end.
fn read_from(
    connection: &Connection,
    totals: OutputTotals,
    start_byte: u64,
    mut enough: impl FnMut(&[u8]) -> bool,
) -> Result<Vec<u8>, StoreError> {
    let first =
        read::chunk_at_byte(connection, totals.execution, start_byte)?.ok_or(StoreError::Gap)?;
    let within = index(start_byte - first.start_byte);
    let mut text = first.data.get(within..).ok_or(StoreError::Gap)?.to_vec();
    let mut statement = connection.prepare_cached(
        "SELECT start_byte, data FROM output
         WHERE execution = ?1 AND start_byte > ?2 ORDER BY start_byte",
    )?;
    let mut rows = statement.query(params![totals.execution, integer(start_byte)])?;
    while !enough(&text) {
        let Some(row) = rows.next()? else {
            if start_byte + (text.len() as u64) < totals.bytes {
                return Err(StoreError::Gap);
            }
            break;
        };
        if row.get::<_, i64>(0)?.unsigned_abs() != start_byte + text.len() as u64 {
            return Err(StoreError::Gap);
        }
        text.extend_from_slice(row.get_ref(1)?.as_blob().map_err(|_| StoreError::Gap)?);
    }
    Ok(text)
}

impl StoredChunk {
    fn place_of(&self, within: usize) -> Place {
        Place {
            byte: self.start_byte + within as u64,
            line: self.newlines_before + newlines(&self.data[..within]) + 1,
        }
    }
}

/// Where the first `limit` lines end, their last newline included.
fn end_of_lines(raw: &[u8], limit: u64) -> Option<usize> {
    raw.iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'\n')
        .nth(index(limit - 1))
        .map(|(at, _)| at + 1)
}

/// The end of the last whole character.
fn last_character_end(raw: &[u8]) -> usize {
    match std::str::from_utf8(raw) {
        Ok(text) => text.len(),
        Err(error) => error.valid_up_to(),
    }
}

const fn is_character_start(byte: u8) -> bool {
    byte & 0b1100_0000 != 0b1000_0000
}

fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

fn into_text(raw: Vec<u8>) -> Result<String, StoreError> {
    String::from_utf8(raw).map_err(|_| StoreError::Corrupt {
        what: "piece of output that is not UTF-8",
    })
}

/// Offsets within what is held in memory.
fn index(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

#[cfg(test)]
#[path = "page_tests.rs"]
mod tests;
