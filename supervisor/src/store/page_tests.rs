use std::sync::Arc;

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::raft::command::Command;
use crate::raft::ids::RaftId;
use crate::store::record::{End, Limits, Status, View};
use crate::store::schema::migrate;
use crate::store::write::{Chunk, Rule, Write};
use crate::tenant::Tenant;

/// A database with one execution whose output came in these pieces.
struct Sample {
    connection: Connection,
    id: ExecutionId,
}

impl Sample {
    fn new(pieces: &[&str], is_running: bool) -> Self {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        let id = ExecutionId::random();
        let mut view = View {
            id,
            tenant: Tenant::local(),
            input_heap: None,
            session: None,
            status: Status::Running,
            submitted_at: Timestamp::UNIX_EPOCH,
            started_at: Some(Timestamp::UNIX_EPOCH),
            completed_at: None,
            end: None,
            limits: Limits {
                heap_memory_max_mb: 8,
                execution_timeout_secs: 30,
            },
            output_bytes: 0,
            source_bytes: 0,
            output_truncated: false,
            usage: None,
        };
        let owner = RaftId::from_u64(1).unwrap();
        let execution = view.clone().into_execution(owner);
        Write::Accept(Box::new(execution), Arc::default())
            .apply(&connection, Rule::Alone)
            .unwrap();
        let (mut start_byte, mut newlines_before) = (0, 0);
        for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
            let chunk = Chunk {
                id,
                start_byte,
                newlines_before,
                data: (*piece).to_owned(),
            };
            start_byte += piece.len() as u64;
            newlines_before += newlines(piece.as_bytes());
            Write::Output(chunk)
                .apply(&connection, Rule::Alone)
                .unwrap();
        }
        if !is_running {
            view.status = Status::TimedOut;
            view.completed_at = Some(Timestamp::UNIX_EPOCH);
            view.end = Some(End::TimedOut { after_secs: 30 });
            let end = Command::End(Box::new(view.into_execution(owner)), None);
            Write::Change(end).apply(&connection, Rule::Alone).unwrap();
        }
        Self { connection, id }
    }

    fn lines(&self, offset: u64, limit: u64) -> OutputPage {
        page(
            &self.connection,
            &Tenant::local(),
            self.id,
            PageRequest::Lines { offset, limit },
        )
        .unwrap()
        .unwrap()
    }

    fn bytes(&self, offset: u64, limit: u64) -> OutputPage {
        page(
            &self.connection,
            &Tenant::local(),
            self.id,
            PageRequest::Bytes { offset, limit },
        )
        .unwrap()
        .unwrap()
    }
}

fn line_places(page: &OutputPage) -> (u64, u64, u64, u64) {
    (
        page.start_line,
        page.end_line,
        page.next_line_offset,
        page.total_lines,
    )
}

fn byte_places(page: &OutputPage) -> (u64, u64, u64, u64) {
    (
        page.start_byte,
        page.end_byte,
        page.next_byte_offset,
        page.total_bytes,
    )
}

#[test]
fn a_page_of_lines() {
    let sample = Sample::new(&["one\ntw", "o\nthree\nfour\n"], false);
    let page = sample.lines(2, 2);
    assert_eq!(page.data, "two\nthree");
    assert_eq!(line_places(&page), (2, 3, 4, 4));
    assert_eq!(byte_places(&page), (4, 14, 14, 19));
    assert!(page.has_more);
    let page = sample.lines(4, 100);
    assert_eq!(page.data, "four");
    assert_eq!(line_places(&page), (4, 4, 5, 4));
    assert!(!page.has_more);
}

#[test]
fn every_page_of_nothing_is_the_same() {
    for (is_running, status) in [(true, Status::Running), (false, Status::TimedOut)] {
        let sample = Sample::new(&[], is_running);
        for offset in [1, 2, 100] {
            assert_eq!(sample.lines(offset, 100), OutputPage::nothing(status));
            assert_eq!(sample.bytes(offset - 1, 4), OutputPage::nothing(status));
        }
    }
}

#[test]
fn a_page_of_bytes_never_splits_a_character() {
    let sample = Sample::new(&["a\u{e9}\n", "\u{1f600}b"], false);
    let page = sample.bytes(0, 2);
    assert_eq!(
        (page.data.as_str(), byte_places(&page)),
        ("a", (0, 1, 1, 9))
    );
    let page = sample.bytes(0, 3);
    assert_eq!(page.data, "a\u{e9}");
    assert_eq!(line_places(&page), (1, 1, 1, 2));
    let page = sample.bytes(0, 4);
    assert_eq!(page.data, "a\u{e9}\n");
    assert_eq!(line_places(&page), (1, 1, 2, 2));
    // In the middle of a character: from its beginning.
    let page = sample.bytes(2, 4);
    assert_eq!((page.data.as_str(), page.start_byte), ("\u{e9}\n", 1));
    // Less than a character: the character, so that whoever reads on gets on.
    let page = sample.bytes(4, 1);
    assert_eq!((page.data.as_str(), page.end_byte), ("\u{1f600}", 8));
    assert_eq!(line_places(&page), (2, 2, 2, 2));
    let page = sample.bytes(8, 4096);
    assert_eq!((page.data.as_str(), page.has_more), ("b", false));
    assert_eq!(line_places(&page), (2, 2, 3, 2));
}

#[test]
fn past_the_end_is_an_empty_page_to_come_again_from() {
    for (is_running, next_line, end_line) in [(true, 2, 1), (false, 3, 2)] {
        let sample = Sample::new(&["a\nb"], is_running);
        for page in [
            sample.lines(3, 1),
            sample.lines(u64::MAX, 1),
            sample.bytes(3, 1),
            sample.bytes(u64::MAX, 1 << 20),
        ] {
            assert_eq!(page.data, "");
            assert_eq!(line_places(&page), (next_line, end_line, next_line, 2));
            assert_eq!(byte_places(&page), (3, 3, 3, 3));
            assert!(!page.has_more);
        }
    }
    let nothing = Sample::new(&[], false);
    for page in [nothing.lines(1, 100), nothing.bytes(0, 4096)] {
        assert_eq!(line_places(&page), (1, 0, 1, 0));
        assert_eq!(byte_places(&page), (0, 0, 0, 0));
    }
}

#[test]
fn a_line_that_is_not_finished_is_read_again_while_more_may_come() {
    let running = Sample::new(&["a\nb"], true);
    assert_eq!(line_places(&running.lines(1, 10)), (1, 2, 2, 2));
    let ended = Sample::new(&["a\nb"], false);
    assert_eq!(line_places(&ended.lines(1, 10)), (1, 2, 3, 2));
}

#[test]
fn empty_lines_are_lines() {
    let sample = Sample::new(&["\n\n", "a\n\n"], false);
    let page = sample.lines(1, 10);
    assert_eq!(page.data, "\n\na\n");
    assert_eq!(line_places(&page), (1, 4, 5, 4));
    let page = sample.lines(2, 1);
    assert_eq!((page.data.as_str(), line_places(&page)), ("", (2, 2, 3, 4)));
    assert_eq!(byte_places(&page), (1, 2, 2, 5));
}

#[test]
fn a_page_of_lines_is_bounded_in_bytes() {
    let line = format!("{}\n", "x".repeat(64 * 1024 - 1));
    let sample = Sample::new(&vec![line.as_str(); 40], false);
    let page = sample.lines(1, 10_000);
    assert_eq!(page.end_byte, PAGE_BYTES_MAX);
    assert_eq!(line_places(&page), (1, 16, 17, 40));
    assert!(page.has_more);

    // One line that is longer than a page: its beginning, whole characters, and the way on.
    let piece = "\u{20ac}".repeat(20_000);
    let mut pieces = vec![piece.as_str(); 30];
    pieces.push("\nnext\n");
    let sample = Sample::new(&pieces, false);
    let page = sample.lines(1, 5);
    assert_eq!(page.end_byte, PAGE_BYTES_MAX / 3 * 3);
    assert_eq!(line_places(&page), (1, 1, 2, 2));
    assert!(page.has_more);
    let rest = sample.bytes(page.next_byte_offset, PAGE_BYTES_MAX);
    assert!(rest.data.ends_with("\nnext\n"));
    assert_eq!(sample.lines(2, 5).data, "next");
}

#[test]
fn a_missing_piece_is_an_error_and_not_a_lie() {
    let sample = Sample::new(&["aaa\n", "bbb\n", "ccc\n"], false);
    sample
        .connection
        .execute("DELETE FROM output WHERE start_byte = 4", [])
        .unwrap();
    let request = PageRequest::Lines {
        offset: 1,
        limit: 10,
    };
    let error = page(&sample.connection, &Tenant::local(), sample.id, request).unwrap_err();
    assert!(matches!(error, StoreError::Gap));
}

/// What a page of lines must be, computed from the whole.
fn expected_lines(whole: &str, offset: u64, limit: u64) -> Vec<&str> {
    let mut lines: Vec<&str> = whole.split('\n').collect();
    if lines.last() == Some(&"") {
        lines.pop();
    }
    lines
        .into_iter()
        .skip(index(offset - 1))
        .take(index(limit))
        .collect()
}

proptest! {
    #[test]
    fn pages_of_lines_agree_with_the_whole(
        pieces in prop::collection::vec("[ab\u{e9}\u{20ac}\n]{0,6}", 0..12),
        offset in 1..20u64,
        limit in 1..8u64,
        is_running in any::<bool>(),
    ) {
        let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
        let whole = pieces.concat();
        let page = Sample::new(&pieces, is_running).lines(offset, limit);
        let expected = expected_lines(&whole, offset, limit);
        prop_assert_eq!(&page.data, &expected.join("\n"));
        prop_assert_eq!(page.end_line + 1 - page.start_line, expected.len() as u64);
        prop_assert_eq!(page.total_bytes, whole.len() as u64);
        prop_assert_eq!(page.total_lines, expected_lines(&whole, 1, u64::MAX).len() as u64);
        let raw = &whole[index(page.start_byte)..index(page.end_byte)];
        prop_assert_eq!(raw.strip_suffix('\n').unwrap_or(raw), page.data.as_str());
        prop_assert_eq!(page.has_more, page.end_byte < page.total_bytes);
    }

    /// Reading on from each page's next offset gives the whole, in both modes, and the line
    /// numbers of pages of bytes are those of the whole.
    #[test]
    fn reading_on_gives_the_whole(
        pieces in prop::collection::vec("[ab\u{e9}\u{1f600}\n]{0,6}", 0..12),
        limit in 1..9u64,
        is_running in any::<bool>(),
    ) {
        let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
        let whole = pieces.concat();
        let sample = Sample::new(&pieces, is_running);
        let mut read = String::new();
        let mut offset = 0;
        loop {
            let page = sample.bytes(offset, limit);
            let line_at = |byte: u64| newlines(&whole.as_bytes()[..index(byte)]) + 1;
            if page.data.is_empty() {
                break;
            }
            prop_assert_eq!(page.start_line, line_at(page.start_byte));
            prop_assert_eq!(page.end_line, line_at(page.end_byte - 1));
            prop_assert!(page.data.len() as u64 <= limit.max(4));
            read.push_str(&page.data);
            offset = page.next_byte_offset;
        }
        prop_assert_eq!(&read, &whole);
        let mut lines = Vec::new();
        let mut offset = 1;
        loop {
            let page = sample.lines(offset, limit);
            if page.start_byte == page.end_byte {
                break;
            }
            lines.push(page.data);
            if !page.has_more {
                break;
            }
            offset = page.next_line_offset;
        }
        prop_assert_eq!(lines.join("\n"), whole.strip_suffix('\n').unwrap_or(&whole));
    }
}
