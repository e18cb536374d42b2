//! What it says: good messages, and bytes that are none.

use std::io;

use mcp_v8_protocol::PROTOCOL_VERSION;
use mcp_v8_protocol::codec::encode;
use mcp_v8_protocol::fetch::{
    CallStep, ExchangeId, FetchCall, Redirect, ReplyStep, Request, RequestBody,
};
use mcp_v8_protocol::limits;
use mcp_v8_protocol::message::{
    Completion, Confinement, Console, Failure, FailureKind, Finished, FromWorker, Hello, Saved,
    Text, Unsaved,
};

/// What it says of its jail, which it does not have: production refuses those who say less.
const CLAIMED: Confinement = Confinement {
    seccomp: true,
    landlock: true,
    user_namespace: false,
    pid_namespace: false,
    mount_namespace: false,
    network_namespace: false,
    own_user: false,
    checked: true,
};

/// The version of this build.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The numbers of messages in the enum, and one that there is not.
const CONSOLE_TAG: u32 = 1;
const FETCH_TAG: u32 = 2;
const FINISHED_TAG: u32 = 3;
const SAVED_TAG: u32 = 4;
const NO_TAG: u32 = 99;
/// The numbers of steps of an exchange.
const OPEN_TAG: u32 = 0;
const SEND_TAG: u32 = 1;

/// Where nobody listens.
pub(crate) const NOWHERE: &str = "http://127.0.0.1:1/";

/// Who is there, by versions that may be wrong.
pub(crate) fn hello_of(protocol_version: u32, worker_version: &str) -> Hello {
    Hello {
        protocol_version,
        worker_version: worker_version.to_owned(),
        v8_version: "none".to_owned(),
        heap_build: "none".to_owned(),
        confinement: CLAIMED,
    }
}

pub(crate) fn hello() -> FromWorker {
    FromWorker::Hello(hello_of(PROTOCOL_VERSION, VERSION))
}

pub(crate) fn console(text: &str) -> FromWorker {
    FromWorker::Console(Console {
        text: text.to_owned(),
    })
}

pub(crate) fn completed(result: &str) -> FromWorker {
    FromWorker::Finished(Finished::Completed(Completion {
        result: whole(result),
        preview: whole("'ok'"),
    }))
}

pub(crate) fn failed() -> FromWorker {
    FromWorker::Finished(Finished::Failed(Failure {
        kind: FailureKind::Exception,
        error: whole("Error: told to fail"),
    }))
}

pub(crate) fn saved(bytes: u64) -> FromWorker {
    FromWorker::Saved(Saved { bytes })
}

pub(crate) fn unsaved(why: &str) -> FromWorker {
    FromWorker::Unsaved(Unsaved { why: whole(why) })
}

/// Something about an exchange.
pub(crate) fn call(exchange: ExchangeId, step: CallStep) -> FromWorker {
    FromWorker::Fetch(FetchCall { exchange, step })
}

/// A request that is legal, whose body is in its pieces.
pub(crate) fn open(exchange: ExchangeId, url: &str) -> FromWorker {
    call(exchange, CallStep::Open(request(url)))
}

/// A request without a body.
pub(crate) fn get(exchange: ExchangeId, url: &str) -> FromWorker {
    call(
        exchange,
        CallStep::Open(Request {
            method: "GET".to_owned(),
            body: RequestBody::None,
            ..request(url)
        }),
    )
}

fn request(url: &str) -> Request {
    Request {
        method: "POST".to_owned(),
        url: url.to_owned(),
        headers: Vec::new(),
        redirect: Redirect::Follow,
        body: RequestBody::Stream { length: None },
    }
}

/// A request whose body has this length, and is in its pieces.
pub(crate) fn sized(exchange: ExchangeId, url: &str, bytes: usize) -> FromWorker {
    let length = Some(bytes as u64);
    call(
        exchange,
        CallStep::Open(Request {
            body: RequestBody::Stream { length },
            ..request(url)
        }),
    )
}

/// What bodies are made of.
pub(crate) const PIECE: &[u8] = b"unasked";

/// A piece of a request's body.
pub(crate) fn send(exchange: ExchangeId) -> FromWorker {
    call(exchange, CallStep::Send(PIECE.to_vec()))
}

/// One of this length.
pub(crate) fn piece(exchange: ExchangeId, bytes: usize) -> FromWorker {
    let piece = PIECE.iter().copied().cycle().take(bytes).collect();
    call(exchange, CallStep::Send(piece))
}

/// Whether it is told this, by name.
pub(crate) fn is_reply(step: &ReplyStep, name: &str) -> bool {
    match step {
        ReplyStep::More => name == "more",
        ReplyStep::Again => name == "again",
        ReplyStep::Opened(_) => name == "opened",
        ReplyStep::Data(_) => name == "data",
        ReplyStep::End => name == "end",
        ReplyStep::Failed(_) => name == "failed",
    }
}

/// The largest result that is legal.
pub(crate) fn largest() -> FromWorker {
    FromWorker::Finished(Finished::Completed(Completion {
        result: whole(&"r".repeat(limits::RESULT_BYTES_MAX)),
        preview: whole(&"p".repeat(limits::PREVIEW_BYTES_MAX)),
    }))
}

fn whole(text: &str) -> Text {
    Text {
        text: text.to_owned(),
        truncated: false,
    }
}

/// A message by the name of the step that says it.
pub(crate) fn by_name(name: &str) -> Option<FromWorker> {
    Some(match name {
        "hello" => hello(),
        "console" => console("byte by byte"),
        "finished" => completed("ok"),
        "failed" => failed(),
        "largest" => largest(),
        _ => return None,
    })
}

pub(crate) fn frame(message: &FromWorker) -> io::Result<Vec<u8>> {
    encode(message).map_err(io::Error::other)
}

/// Bytes that no worker should send, by name, prefix and all.
pub(crate) fn bad_bytes(name: &str) -> io::Result<Option<Vec<u8>>> {
    let good = frame(&console("hostile"))?;
    let payload = &good[limits::FRAME_HEADER_BYTES..];
    Ok(Some(match name {
        "garbage" => b"HTTP/1.1 200 OK\r\n\r\n".to_vec(),
        "garbage_frame" => framed(&[0xa5; 64]),
        "empty_frame" => framed(&[]),
        "oversize" => u32::MAX.to_le_bytes().to_vec(),
        "oversize_by_one" => length_prefix(limits::FRAME_FROM_WORKER_BYTES_MAX + 1),
        "torn" => good[..good.len() - 1].to_vec(),
        "torn_prefix" => good[..2].to_vec(),
        "trailing" => framed(&[payload, &[0]].concat()),
        "unknown_tag" => framed(&[&NO_TAG.to_le_bytes()[..], &[0; 32]].concat()),
        "no_boolean" => framed(&completed_payload(b"ok", 2)),
        "bad_utf8" => framed(&console_payload(&[0xff, 0xfe], 2)),
        "bad_utf8_result" => framed(&completed_payload(&[0xc3, 0x28], 0)),
        "long_text" => {
            let text = vec![b'x'; limits::CONSOLE_CHUNK_BYTES_MAX + 1];
            framed(&console_payload(&text, text.len() as u64))
        }
        "long_result" => framed(&completed_payload(
            &vec![b'x'; limits::RESULT_BYTES_MAX + 1],
            0,
        )),
        // A snapshot of no length, and one of more than there can be.
        "saved_nothing" => framed(&saved_payload(0)),
        "saved_too_much" => framed(&saved_payload(limits::SNAPSHOT_BYTES_MAX + 1)),
        "torn_open" => {
            let open = frame(&open(0, NOWHERE))?;
            open[..open.len() - 1].to_vec()
        }
        "no_exchange_step" => framed(&fetch_payload(NO_TAG, &[])),
        "send_nothing" => framed(&fetch_payload(SEND_TAG, &0_u64.to_le_bytes())),
        "long_piece" => {
            let piece = vec![b'x'; limits::BODY_CHUNK_BYTES_MAX + 1];
            framed(&fetch_payload(SEND_TAG, &counted(&piece)))
        }
        "long_url" => {
            let url = vec![b'x'; limits::URL_BYTES_MAX + 1];
            let rest = [&counted(b"GET")[..], &counted(&url), &[0; 16]].concat();
            framed(&fetch_payload(OPEN_TAG, &rest))
        }
        // Header lines, each empty: one too many, and far more than its frame has.
        "many_headers" => framed(&open_payload(limits::HEADERS_MAX as u64 + 1)),
        "lying_headers" => framed(&open_payload(u64::MAX / 2)),
        "fat_headers" => {
            let value = counted(&vec![b'x'; limits::HEADERS_BYTES_MAX]);
            let line = [&1_u64.to_le_bytes()[..], &counted(b"x"), &value].concat();
            let rest = [&[0; 16][..], &line, &[0; 8]].concat();
            framed(&fetch_payload(OPEN_TAG, &rest))
        }
        // A text that says it is far longer than its frame.
        "lying_length" => framed(&console_payload(b"x", u64::MAX / 2)),
        _ => return Ok(None),
    }))
}

fn length_prefix(length: usize) -> Vec<u8> {
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    length.to_le_bytes().to_vec()
}

fn framed(payload: &[u8]) -> Vec<u8> {
    [&length_prefix(payload.len()), payload].concat()
}

fn console_payload(text: &[u8], length: u64) -> Vec<u8> {
    [&CONSOLE_TAG.to_le_bytes()[..], &length.to_le_bytes(), text].concat()
}

/// A step of exchange 0.
fn fetch_payload(step: u32, rest: &[u8]) -> Vec<u8> {
    let tags = [FETCH_TAG, 0, step].map(u32::to_le_bytes).concat();
    [&tags, rest].concat()
}

/// Open, with no method, no URL, and this count before as many empty header lines as are legal and one
/// more.
fn open_payload(count: u64) -> Vec<u8> {
    let lines = vec![0; 16 * (limits::HEADERS_MAX + 1)];
    let rest = [&[0; 16][..], &count.to_le_bytes(), &lines, &[0; 8]].concat();
    fetch_payload(OPEN_TAG, &rest)
}

/// Bytes with their length before them.
fn counted(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u64).to_le_bytes()[..], bytes].concat()
}

fn saved_payload(bytes: u64) -> Vec<u8> {
    [&SAVED_TAG.to_le_bytes()[..], &bytes.to_le_bytes()].concat()
}

/// Finished and Completed, with a result and what says whether it was cut; an empty preview.
fn completed_payload(result: &[u8], truncated: u8) -> Vec<u8> {
    const COMPLETED_TAG: u32 = 0;
    [
        &FINISHED_TAG.to_le_bytes()[..],
        &COMPLETED_TAG.to_le_bytes(),
        &(result.len() as u64).to_le_bytes(),
        result,
        &[truncated],
        &0_u64.to_le_bytes(),
        &[0],
    ]
    .concat()
}
