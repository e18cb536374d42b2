//! The reader's memory, measured: whatever the other end claims, it gets only what it has sent.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use mcp_v8_protocol::codec::{DecodeError, FrameReader, Message, decode_payload, encode};
use mcp_v8_protocol::fetch::{FetchReply, Header, ReplyStep, Response};
use mcp_v8_protocol::limits;
use mcp_v8_protocol::message::{Completion, Console, Finished, FromWorker, Text, ToWorker};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

/// Counts the bytes that this thread holds, and the most that it ever held.
struct Counting;

thread_local! {
    static HELD: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

fn add(bytes: usize) {
    HELD.set(HELD.get().saturating_add(bytes));
    PEAK.set(PEAK.get().max(HELD.get()));
}

fn sub(bytes: usize) {
    HELD.set(HELD.get().saturating_sub(bytes));
}

// SAFETY: every call is passed on to the system's allocator unchanged; the counters are plain cells
// of the thread that need no allocation and no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: the caller keeps the contract of `alloc`, which is the same one.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        sub(layout.size());
        // SAFETY: the pointer came from `System` through `alloc` or `realloc` above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        // Old and new may exist side by side for a moment.
        add(bytes);
        sub(layout.size());
        // SAFETY: as above; the caller keeps the contract of `realloc`.
        unsafe { System.realloc(pointer, layout, bytes) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// The most bytes that were held at once while `work` ran, beyond those held before.
fn peak_of<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = HELD.get();
    PEAK.set(before);
    let value = work();
    (value, PEAK.get() - before)
}

/// Reads the pieces and drops every message at once; the first error, and the memory.
fn read<M: Message>(bytes: &[u8], piece_bytes: usize) -> (Option<DecodeError>, usize) {
    peak_of(|| {
        let mut reader = FrameReader::<M>::default();
        for piece in bytes.chunks(piece_bytes) {
            reader.push(piece);
            loop {
                match reader.next_message() {
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(error) => return Some(error),
                }
            }
        }
        None
    })
}

fn completed(bytes: usize) -> Vec<u8> {
    let text = |bytes| Text {
        text: "x".repeat(bytes),
        truncated: false,
    };
    encode(&FromWorker::Finished(Finished::Completed(Completion {
        result: text(bytes),
        preview: text(0),
    })))
    .unwrap()
}

const PIECE_BYTES: usize = 64 << 10;

/// A frame held whole, the piece behind it, and the message that is made of it.
const READER_BYTES_MAX: usize = 2 * (limits::FRAME_FROM_WORKER_BYTES_MAX + PIECE_BYTES);

#[test]
fn a_long_frame_costs_its_own_length_and_a_message() {
    let stream = completed(limits::RESULT_BYTES_MAX).repeat(8);
    let (error, peak) = read::<FromWorker>(&stream, PIECE_BYTES);
    assert_eq!(error, None);
    assert!(peak <= READER_BYTES_MAX, "{peak} bytes");
}

#[test]
fn a_reader_gives_back_the_memory_of_a_long_frame() {
    let long = completed(limits::RESULT_BYTES_MAX);
    let mut reader = FrameReader::<FromWorker>::default();
    let before = HELD.get();
    reader.push(&long);
    drop(reader.next_message().unwrap());
    reader.push(&[]);
    assert!(
        HELD.get() - before <= PIECE_BYTES,
        "{} bytes",
        HELD.get() - before
    );
}

#[test]
fn many_short_frames_cost_no_more_than_a_piece() {
    let console = FromWorker::Console(Console { text: "x".into() });
    let stream = encode(&console).unwrap().repeat(100_000);
    let (error, peak) = read::<FromWorker>(&stream, PIECE_BYTES);
    assert_eq!(error, None);
    assert!(peak <= 4 * PIECE_BYTES, "{peak} bytes");
}

#[test]
fn a_claimed_frame_length_costs_nothing() {
    for claim in [limits::FRAME_FROM_WORKER_BYTES_MAX + 1, u32::MAX as usize] {
        let prefix = u32::try_from(claim).unwrap().to_le_bytes();
        let (error, peak) = read::<FromWorker>(&prefix, 1);
        let limit = limits::FRAME_FROM_WORKER_BYTES_MAX;
        let bytes = claim as u64;
        assert_eq!(error, Some(DecodeError::FrameTooLong { bytes, limit }));
        assert!(peak <= 64, "{peak} bytes");
    }
}

#[test]
fn a_frame_within_the_limit_that_never_comes_costs_what_has_come() {
    let claim = u32::try_from(limits::FRAME_FROM_WORKER_BYTES_MAX).unwrap();
    let (error, peak) = read::<FromWorker>(&claim.to_le_bytes(), 1);
    assert_eq!(error, None);
    assert!(peak <= 64, "{peak} bytes");
}

#[test]
fn a_claimed_text_length_costs_next_to_nothing() {
    for claim in [
        30,
        1 << 16,
        limits::RESULT_BYTES_MAX as u64,
        1 << 32,
        u64::MAX,
    ] {
        // Console, with a text that is not there.
        let mut payload = 1_u32.to_le_bytes().to_vec();
        payload.extend(claim.to_le_bytes());
        payload.extend([b'x'; 8]);
        let (result, peak) = peak_of(|| decode_payload::<FromWorker>(&payload));
        assert_eq!(result, Err(DecodeError::Malformed { bytes: 20 }));
        assert!(peak <= 256, "claimed {claim}, held {peak}");
    }
}

#[test]
fn claimed_lengths_of_requests_cost_next_to_nothing() {
    let claims = [3, 30, 256, 257, 1 << 16, 1 << 32, u64::MAX];
    // Each with one length that lies: of a piece, of a method, of a URL, of the list of headers, of a
    // header's name, of its value, of a body.
    let send = [2_u32, 0, 1].map(u32::to_le_bytes).concat();
    let method = [2_u32, 0, 0].map(u32::to_le_bytes).concat();
    let url = [&method[..], &[0; 8]].concat();
    let headers = [&url[..], &[0; 8]].concat();
    let name = [&headers[..], &1_u64.to_le_bytes()].concat();
    let value = [&name[..], &[0; 8]].concat();
    let body = [&headers[..], &[0; 12], &1_u32.to_le_bytes()].concat();
    for (claim, before) in claims.into_iter().flat_map(|claim| {
        [&send, &method, &url, &headers, &name, &value, &body].map(|before| (claim, before))
    }) {
        let payload = [&before[..], &claim.to_le_bytes()].concat();
        let bytes = payload.len();
        let (result, peak) = peak_of(|| decode_payload::<FromWorker>(&payload));
        assert_eq!(result, Err(DecodeError::Malformed { bytes }));
        assert!(peak <= 512, "claimed {claim} in {before:?}, held {peak}");
    }
}

#[test]
fn header_lines_cost_in_proportion_to_what_they_are() {
    let header = Header {
        name: String::new(),
        value: Vec::new(),
    };
    let response = ToWorker::Fetch(FetchReply {
        exchange: 0,
        step: ReplyStep::Opened(Response {
            status: 200,
            status_text: String::new(),
            headers: vec![header; limits::HEADERS_MAX],
            url: String::new(),
            is_redirected: false,
        }),
    });
    let payload = encode(&response)
        .unwrap()
        .split_off(limits::FRAME_HEADER_BYTES);
    let (result, peak) = peak_of(|| decode_payload::<ToWorker>(&payload));
    assert_eq!(result.as_ref(), Ok(&response));
    // A line has 16 bytes in a frame, and 48 in memory; a list that grows is there twice for a moment.
    assert!(peak <= 3 * 2 * payload.len(), "{peak} bytes");
}

#[test]
fn any_bytes_cost_in_proportion_to_what_they_are() {
    // What a lying text is given at most (`codec::decode_in_proportion`).
    let lie_max = |bytes: usize| (4 * bytes).max(256);
    // With it a frame in the buffer, which doubles as it grows.
    let cost_max = |bytes: usize| 8 * bytes + 256;
    let word = prop_oneof![
        (0..7_u64).prop_map(|tag| tag.to_le_bytes()[..4].to_vec()),
        any::<u64>().prop_map(|count| count.to_le_bytes().to_vec()),
        (0..2_000_000_u64).prop_map(|count| count.to_le_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..300),
    ];
    let payload = prop::collection::vec(word, 0..8).prop_map(|words| words.concat());
    let config = ProptestConfig {
        cases: 20_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    TestRunner::new(config)
        .run(
            &(payload, any::<bool>(), 1..99_usize),
            |(payload, framed, piece)| {
                let length = u32::try_from(payload.len()).unwrap().to_le_bytes();
                let bytes = if framed {
                    [&length[..], &payload].concat()
                } else {
                    payload
                };
                for (_, peak) in [
                    read::<ToWorker>(&bytes, piece),
                    read::<FromWorker>(&bytes, piece),
                ] {
                    prop_assert!(peak <= cost_max(bytes.len()), "{} cost {peak}", bytes.len());
                }
                let (_, peak) = peak_of(|| decode_payload::<FromWorker>(&bytes));
                prop_assert!(
                    peak <= lie_max(bytes.len()),
                    "payload of {} cost {peak}",
                    bytes.len()
                );
                Ok(())
            },
        )
        .unwrap();
}
