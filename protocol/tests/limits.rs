//! Every text at its limit travels; one byte more is refused, at both ends and by name.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use mcp_v8_protocol::codec::{DecodeError, FrameReader, Message, encode};
use mcp_v8_protocol::exit::ExitCode;
use mcp_v8_protocol::fetch::{
    CallStep, FetchCall, FetchReply, Header, Redirect, ReplyStep, Request, RequestBody, Response,
};
use mcp_v8_protocol::limits;
use mcp_v8_protocol::message::{
    Completion, Confinement, Console, ExecutionLimits, Failure, FailureKind, Finished, FromWorker,
    Grants, HeapUse, Hello, Saved, Start, Text, ToWorker, Unsaved,
};

fn text(bytes: usize) -> Text {
    Text {
        text: "x".repeat(bytes),
        truncated: true,
    }
}

fn start(source: String) -> ToWorker {
    start_on(HeapUse::Discard, source)
}

fn start_on(heap: HeapUse, source: String) -> ToWorker {
    ToWorker::Start(Start {
        source,
        limits: ExecutionLimits {
            heap_bytes: u64::MAX,
            buffer_bytes: u64::MAX,
            cpu_seconds: u32::MAX,
            snapshot_bytes: u64::MAX,
        },
        heap,
        grants: Grants::default(),
    })
}

fn saved(bytes: u64) -> FromWorker {
    FromWorker::Saved(Saved { bytes })
}

fn unsaved(bytes: usize) -> FromWorker {
    FromWorker::Unsaved(Unsaved { why: text(bytes) })
}

fn hello(worker: usize, v8: usize) -> FromWorker {
    FromWorker::Hello(Hello {
        protocol_version: u32::MAX,
        worker_version: "x".repeat(worker),
        v8_version: "x".repeat(v8),
        heap_build: "x".repeat(limits::HEAP_BUILD_BYTES_MAX),
        confinement: Confinement::default(),
    })
}

fn completed(result: usize, preview: usize) -> FromWorker {
    FromWorker::Finished(Finished::Completed(Completion {
        result: text(result),
        preview: text(preview),
    }))
}

fn console(bytes: usize) -> FromWorker {
    let text = "x".repeat(bytes);
    FromWorker::Console(Console { text })
}

fn failed(bytes: usize) -> FromWorker {
    FromWorker::Finished(Finished::Failed(Failure {
        kind: FailureKind::Memory,
        error: text(bytes),
    }))
}

/// A request of these lengths: of its method, its URL and its body.
fn open(method: usize, url: usize, headers: Vec<Header>, body: usize) -> FromWorker {
    call(CallStep::Open(Request {
        method: "x".repeat(method),
        url: "x".repeat(url),
        headers,
        redirect: Redirect::Follow,
        body: RequestBody::Whole(vec![b'x'; body]),
    }))
}

/// A response of these lengths: of its reason phrase and its URL.
fn opened(status_text: usize, url: usize, headers: Vec<Header>) -> ToWorker {
    reply(ReplyStep::Opened(Response {
        status: u16::MAX,
        status_text: "x".repeat(status_text),
        headers,
        url: "x".repeat(url),
        is_redirected: true,
    }))
}

fn call(step: CallStep) -> FromWorker {
    let exchange = u32::MAX;
    FromWorker::Fetch(FetchCall { exchange, step })
}

fn reply(step: ReplyStep) -> ToWorker {
    let exchange = u32::MAX;
    ToWorker::Fetch(FetchReply { exchange, step })
}

/// So many lines of so many bytes together, most of them in the first.
fn headers(lines: usize, bytes: usize) -> Vec<Header> {
    let header = |name: usize, value: usize| Header {
        name: "x".repeat(name),
        value: vec![b'x'; value],
    };
    let mut headers = vec![header(1, bytes - lines)];
    headers.resize(lines, header(1, 0));
    headers
}

fn travels<M: Message + PartialEq + std::fmt::Debug>(message: &M) {
    let mut reader = FrameReader::<M>::default();
    reader.push(&encode(message).unwrap());
    assert!(reader.next_message().unwrap().as_ref() == Some(message));
}

fn is_refused<M: Message + std::fmt::Debug>(message: &M, field: &'static str, limit: usize) {
    let bytes = limit + 1;
    let refusal = DecodeError::TextTooLong {
        field,
        bytes,
        limit,
    };
    assert_eq!(encode(message), Err(refusal));
}

#[test]
fn texts_at_their_limits_travel() {
    travels(&start("x".repeat(limits::SOURCE_BYTES_MAX)));
    travels(&hello(limits::VERSION_BYTES_MAX, limits::VERSION_BYTES_MAX));
    travels(&console(limits::CONSOLE_CHUNK_BYTES_MAX));
    travels(&completed(
        limits::RESULT_BYTES_MAX,
        limits::PREVIEW_BYTES_MAX,
    ));
    travels(&failed(limits::ERROR_BYTES_MAX));
    travels(&unsaved(limits::UNSAVED_BYTES_MAX));
}

#[test]
fn requests_and_responses_at_their_limits_travel() {
    let (url, body) = (limits::URL_BYTES_MAX, limits::BODY_CHUNK_BYTES_MAX);
    let full = || headers(limits::HEADERS_MAX, limits::HEADERS_BYTES_MAX);
    travels(&open(limits::METHOD_BYTES_MAX, url, full(), body));
    travels(&opened(limits::STATUS_TEXT_BYTES_MAX, url, full()));
    travels(&open(0, 0, Vec::new(), 0));
    travels(&opened(0, 0, Vec::new()));
    for bytes in [1, body] {
        travels(&call(CallStep::Send(vec![b'x'; bytes])));
        travels(&reply(ReplyStep::Data(vec![b'x'; bytes])));
    }
    let why = "x".repeat(limits::FETCH_ERROR_BYTES_MAX);
    travels(&reply(ReplyStep::Failed(why)));
}

#[test]
fn any_number_of_the_shortest_header_lines_travels() {
    for lines in 1..=limits::HEADERS_MAX {
        travels(&open(0, 0, headers(lines, lines), 0));
        travels(&opened(0, 0, headers(lines, lines)));
    }
}

#[test]
fn a_byte_more_of_a_request_or_a_response_is_refused_by_name() {
    let none = Vec::new;
    let method = limits::METHOD_BYTES_MAX;
    is_refused(&open(method + 1, 0, none(), 0), "Request.method", method);
    let url = limits::URL_BYTES_MAX;
    is_refused(&open(0, url + 1, none(), 0), "Request.url", url);
    is_refused(&opened(0, url + 1, none()), "Response.url", url);
    let body = limits::BODY_CHUNK_BYTES_MAX;
    is_refused(&open(0, 0, none(), body + 1), "Request.body", body);
    let phrase = limits::STATUS_TEXT_BYTES_MAX;
    let field = "Response.status_text";
    is_refused(&opened(phrase + 1, 0, none()), field, phrase);
    let why = limits::FETCH_ERROR_BYTES_MAX;
    let failed = reply(ReplyStep::Failed("x".repeat(why + 1)));
    is_refused(&failed, "Failed", why);
    let (lines, bytes) = (limits::HEADERS_MAX, limits::HEADERS_BYTES_MAX);
    for (headers, limit) in [
        (headers(lines + 1, lines + 1), lines),
        (headers(lines, bytes + 1), bytes),
        (headers(1, bytes + 1), bytes),
    ] {
        let request = open(0, 0, headers.clone(), 0);
        is_refused(&request, "Request.headers", limit);
        is_refused(&opened(0, 0, headers), "Response.headers", limit);
    }
}

#[test]
fn a_piece_of_a_body_is_neither_empty_nor_longer_than_its_limit() {
    let limit = limits::BODY_CHUNK_BYTES_MAX;
    for bytes in [0, limit + 1] {
        let piece = || vec![b'x'; bytes];
        let refusal = |field| {
            Err(DecodeError::SizeOutOfRange {
                field,
                bytes: bytes as u64,
                limit: limit as u64,
            })
        };
        assert_eq!(encode(&call(CallStep::Send(piece()))), refusal("Send"));
        assert_eq!(encode(&reply(ReplyStep::Data(piece()))), refusal("Data"));
    }
    // Send, with a piece of no length.
    let mut reader = FrameReader::<FromWorker>::default();
    let tags = [2_u32, 0, 1].map(u32::to_le_bytes).concat();
    reader.push(&[&20_u32.to_le_bytes()[..], &tags, &[0; 8]].concat());
    assert!(matches!(
        reader.next_message(),
        Err(DecodeError::SizeOutOfRange { bytes: 0, .. })
    ));
}

#[test]
fn a_reader_refuses_a_header_line_too_many() {
    for count in [limits::HEADERS_MAX + 1, usize::MAX] {
        // Open, with an empty method and URL, and lines of no length.
        let mut payload = [2_u32, 0, 0].map(u32::to_le_bytes).concat();
        payload.extend([0; 16]);
        payload.extend((count as u64).to_le_bytes());
        payload.resize(payload.len() + 16 * (limits::HEADERS_MAX + 1), 0);
        payload.extend([0; 8]);
        let bytes = payload.len();
        let mut reader = FrameReader::<FromWorker>::default();
        reader.push(&u32::try_from(bytes).unwrap().to_le_bytes());
        reader.push(&payload);
        assert_eq!(reader.next_message(), Err(DecodeError::Malformed { bytes }));
    }
}

#[test]
fn sizes_of_snapshots_are_bounded_on_both_sides() {
    let limit = limits::SNAPSHOT_BYTES_MAX;
    let start = |bytes| start_on(HeapUse::Continue { bytes }, String::new());
    for bytes in [1, limit] {
        travels(&saved(bytes));
        travels(&start(bytes));
    }
    for bytes in [0, limit + 1, u64::MAX] {
        let refusal = |field| DecodeError::SizeOutOfRange {
            field,
            bytes,
            limit,
        };
        assert_eq!(encode(&saved(bytes)), Err(refusal("Saved.bytes")));
        assert_eq!(encode(&start(bytes)), Err(refusal("Start.heap")));
    }
    // Saved, with a size of 0.
    let mut reader = FrameReader::<FromWorker>::default();
    reader.push(&[12, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert!(matches!(
        reader.next_message(),
        Err(DecodeError::SizeOutOfRange { bytes: 0, .. })
    ));
}

#[test]
fn one_byte_more_is_refused_by_name() {
    let over = |limit| limit + 1;
    let source = "x".repeat(over(limits::SOURCE_BYTES_MAX));
    is_refused(&start(source), "Start.source", limits::SOURCE_BYTES_MAX);
    let version = limits::VERSION_BYTES_MAX;
    is_refused(&hello(over(version), 0), "Hello.worker_version", version);
    is_refused(&hello(0, over(version)), "Hello.v8_version", version);
    let chunk = limits::CONSOLE_CHUNK_BYTES_MAX;
    is_refused(&console(over(chunk)), "Console.text", chunk);
    let result = limits::RESULT_BYTES_MAX;
    is_refused(&completed(over(result), 0), "Completion.result", result);
    let preview = limits::PREVIEW_BYTES_MAX;
    is_refused(&completed(0, over(preview)), "Completion.preview", preview);
    let error = limits::ERROR_BYTES_MAX;
    is_refused(&failed(over(error)), "Failure.error", error);
    let why = limits::UNSAVED_BYTES_MAX;
    is_refused(&unsaved(over(why)), "Unsaved.why", why);
}

#[test]
fn a_reader_refuses_a_text_above_its_limit_by_name() {
    let limit = limits::CONSOLE_CHUNK_BYTES_MAX;
    let bytes = limit + 1;
    let mut payload = 1_u32.to_le_bytes().to_vec();
    payload.extend((bytes as u64).to_le_bytes());
    payload.resize(payload.len() + bytes, b'x');
    let mut reader = FrameReader::<FromWorker>::default();
    reader.push(&u32::try_from(payload.len()).unwrap().to_le_bytes());
    reader.push(&payload);
    let field = "Console.text";
    assert_eq!(
        reader.next_message(),
        Err(DecodeError::TextTooLong {
            field,
            bytes,
            limit
        })
    );
}

#[test]
fn a_text_that_is_not_utf_8_and_an_unknown_tag_are_refused() {
    let bad_text = [
        15, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xc3, 0x28,
    ];
    let bad_tag = [4, 0, 0, 0, 9, 0, 0, 0];
    let empty = [0, 0, 0, 0];
    for (frame, bytes) in [(&bad_text[..], 15), (&bad_tag[..], 4), (&empty[..], 0)] {
        let mut reader = FrameReader::<FromWorker>::default();
        reader.push(frame);
        assert_eq!(reader.next_message(), Err(DecodeError::Malformed { bytes }));
    }
}

#[test]
fn exit_codes_are_read_back_and_nothing_else_is() {
    let known: Vec<i32> = (-300..300)
        .filter(|code| ExitCode::from_code(*code).is_some())
        .collect();
    assert_eq!(known, [0, 1, 64, 70, 76, 86, 124]);
    for code in known {
        let exit = ExitCode::from_code(code).unwrap();
        assert_eq!(i32::from(exit.code()), code);
    }
}
