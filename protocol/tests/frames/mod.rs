//! One message of every shape, and its frame in hex: the length, the tag, the fields in order.

use mcp_v8_protocol::fetch::{
    CallStep, FetchCall, FetchReply, Header, Redirect, ReplyStep, Request, RequestBody, Response,
};
use mcp_v8_protocol::message::{
    Completion, Confinement, Console, ExecutionLimits, Failure, FailureKind, Finished, FromWorker,
    Grants, HeapUse, Hello, Saved, Start, Text, ToWorker, Unsaved,
};

pub(crate) fn to_worker() -> Vec<ToWorker> {
    let start = |heap, fetch| {
        ToWorker::Start(Start {
            source: "1 + 1".into(),
            limits: ExecutionLimits {
                heap_bytes: 8 << 20,
                buffer_bytes: 16 << 20,
                cpu_seconds: 30,
                snapshot_bytes: 0x70000,
            },
            heap,
            grants: Grants { fetch },
        })
    };
    let reply = |step| ToWorker::Fetch(FetchReply { exchange: 7, step });
    vec![
        start(HeapUse::Discard, false),
        start(HeapUse::New, false),
        start(HeapUse::Continue { bytes: 0x12345 }, true),
        reply(ReplyStep::More),
        reply(ReplyStep::Opened(Response {
            status: 404,
            status_text: "No".into(),
            headers: headers(),
            url: "http://h/".into(),
            is_redirected: true,
        })),
        reply(ReplyStep::Data(vec![1, 2, 3])),
        reply(ReplyStep::End),
        reply(ReplyStep::Failed("no".into())),
        reply(ReplyStep::Again),
    ]
}

/// Two lines of one name, as they may come.
fn headers() -> Vec<Header> {
    let header = |value: &[u8]| Header {
        name: "a".into(),
        value: value.into(),
    };
    vec![header(&[0xff]), header(&[])]
}

pub(crate) fn from_worker() -> Vec<FromWorker> {
    let failed = |kind| {
        FromWorker::Finished(Finished::Failed(Failure {
            kind,
            error: text("no", true),
        }))
    };
    let call = |step| FromWorker::Fetch(FetchCall { exchange: 7, step });
    let open = |redirect, body| {
        call(CallStep::Open(Request {
            method: "PUT".into(),
            url: "http://h/".into(),
            headers: headers(),
            redirect,
            body,
        }))
    };
    vec![
        FromWorker::Hello(Hello {
            protocol_version: 4,
            worker_version: "0.1.0".into(),
            v8_version: "15.0".into(),
            heap_build: "b".into(),
            confinement: Confinement {
                seccomp: true,
                pid_namespace: true,
                own_user: true,
                ..Confinement::default()
            },
        }),
        FromWorker::Console(Console {
            text: "ä\n".into()
        }),
        open(Redirect::Follow, RequestBody::None),
        open(Redirect::Manual, RequestBody::Whole(vec![1, 2, 3])),
        open(Redirect::Error, RequestBody::Stream { length: None }),
        open(
            Redirect::Follow,
            RequestBody::Stream {
                length: Some(0x12345),
            },
        ),
        call(CallStep::Send(vec![1, 2, 3])),
        call(CallStep::SendEnd),
        call(CallStep::Pull),
        call(CallStep::Abort),
        FromWorker::Finished(Finished::Completed(Completion {
            result: text("2", false),
            preview: text("2", true),
        })),
        failed(FailureKind::Syntax),
        failed(FailureKind::Exception),
        failed(FailureKind::UnhandledRejection),
        failed(FailureKind::NothingLeftToWaitFor),
        failed(FailureKind::Unprintable),
        failed(FailureKind::Memory),
        FromWorker::Saved(Saved { bytes: 0x12345 }),
        FromWorker::Unsaved(Unsaved {
            why: text("no", true),
        }),
    ]
}

fn text(text: &str, truncated: bool) -> Text {
    Text {
        text: text.into(),
        truncated,
    }
}

/// Name and frame of every message of [`to_worker`].
pub(crate) const TO_WORKER: &[(&str, &str)] = &[
    (
        "start",
        "32000000 00000000 0500000000000000 31202b2031 0000800000000000 0000000100000000 1e000000 \
         0000070000000000 00000000 00",
    ),
    (
        "start_new",
        "32000000 00000000 0500000000000000 31202b2031 0000800000000000 0000000100000000 1e000000 \
         0000070000000000 01000000 00",
    ),
    (
        "start_continue",
        "3a000000 00000000 0500000000000000 31202b2031 0000800000000000 0000000100000000 1e000000 \
         0000070000000000 02000000 4523010000000000 01",
    ),
    ("more", "0c000000 01000000 07000000 00000000"),
    (
        "opened",
        "55000000 01000000 07000000 01000000 9401 0200000000000000 4e6f 0200000000000000 \
         0100000000000000 61 0100000000000000 ff 0100000000000000 61 0000000000000000 \
         0900000000000000 687474703a2f2f682f 01",
    ),
    (
        "data",
        "17000000 01000000 07000000 02000000 0300000000000000 010203",
    ),
    ("end", "0c000000 01000000 07000000 03000000"),
    (
        "fetch_failed",
        "16000000 01000000 07000000 04000000 0200000000000000 6e6f",
    ),
    ("again", "0c000000 01000000 07000000 05000000"),
];

/// Name and frame of every message of [`from_worker`].
pub(crate) const FROM_WORKER: &[(&str, &str)] = &[
    (
        "hello",
        "32000000 00000000 04000000 0500000000000000 302e312e30 0400000000000000 31352e30 \
         0100000000000000 62 0100000100000100",
    ),
    ("console", "0f000000 01000000 0300000000000000 c3a40a"),
    (
        "open",
        "5b000000 02000000 07000000 00000000 0300000000000000 505554 0900000000000000 \
         687474703a2f2f682f 0200000000000000 0100000000000000 61 0100000000000000 ff \
         0100000000000000 61 0000000000000000 00000000 00000000",
    ),
    (
        "open_whole",
        "66000000 02000000 07000000 00000000 0300000000000000 505554 0900000000000000 \
         687474703a2f2f682f 0200000000000000 0100000000000000 61 0100000000000000 ff \
         0100000000000000 61 0000000000000000 01000000 01000000 0300000000000000 010203",
    ),
    (
        "open_stream",
        "5c000000 02000000 07000000 00000000 0300000000000000 505554 0900000000000000 \
         687474703a2f2f682f 0200000000000000 0100000000000000 61 0100000000000000 ff \
         0100000000000000 61 0000000000000000 02000000 02000000 00",
    ),
    (
        "open_stream_sized",
        "64000000 02000000 07000000 00000000 0300000000000000 505554 0900000000000000 \
         687474703a2f2f682f 0200000000000000 0100000000000000 61 0100000000000000 ff \
         0100000000000000 61 0000000000000000 00000000 02000000 01 4523010000000000",
    ),
    (
        "send",
        "17000000 02000000 07000000 01000000 0300000000000000 010203",
    ),
    ("send_end", "0c000000 02000000 07000000 02000000"),
    ("pull", "0c000000 02000000 07000000 03000000"),
    ("abort", "0c000000 02000000 07000000 04000000"),
    (
        "completed",
        "1c000000 03000000 00000000 0100000000000000 32 00 0100000000000000 32 01",
    ),
    (
        "syntax",
        "17000000 03000000 01000000 00000000 0200000000000000 6e6f 01",
    ),
    (
        "exception",
        "17000000 03000000 01000000 01000000 0200000000000000 6e6f 01",
    ),
    (
        "rejection",
        "17000000 03000000 01000000 02000000 0200000000000000 6e6f 01",
    ),
    (
        "nothing_left",
        "17000000 03000000 01000000 03000000 0200000000000000 6e6f 01",
    ),
    (
        "unprintable",
        "17000000 03000000 01000000 04000000 0200000000000000 6e6f 01",
    ),
    (
        "memory",
        "17000000 03000000 01000000 05000000 0200000000000000 6e6f 01",
    ),
    ("saved", "0c000000 04000000 4523010000000000"),
    ("unsaved", "0f000000 05000000 0200000000000000 6e6f 01"),
];

/// Bytes from hex digits; blanks are for the eye.
pub(crate) fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|byte| *byte != b' ').collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}
