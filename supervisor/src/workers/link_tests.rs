//! One link, with both ends in this process.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use mcp_v8_protocol::fetch::{CallStep, FetchCall, ReplyStep};
use mcp_v8_protocol::limits::BODY_CHUNK_BYTES_MAX;
use mcp_v8_protocol::message::{
    Confinement, Console, ExecutionLimits, Grants, HeapUse, Hello, Start,
};
use tokio::time::timeout;

use super::*;

/// Long enough for what happens at once.
const AT_ONCE: Duration = Duration::from_millis(200);

fn say(output: &mut io::PipeWriter, message: &FromWorker) {
    let frame = encode(message).expect("a short message");
    output.write_all(&frame).expect("a pipe with room");
}

/// A link to a worker that waits for its script, and the worker's ends.
fn parked() -> (Link, io::PipeReader, io::PipeWriter) {
    let (input, to_worker) = io::pipe().expect("a pipe");
    let (from_worker, mut output) = io::pipe().expect("a pipe");
    let mut link = Link::new(to_worker.into(), from_worker.into()).expect("a link");
    let hello = Hello {
        protocol_version: 0,
        worker_version: String::new(),
        v8_version: String::new(),
        heap_build: String::new(),
        confinement: Confinement::default(),
    };
    say(&mut output, &FromWorker::Hello(hello));
    assert!(matches!(link.try_receive(), Ok(Some(_))));
    (link, input, output)
}

/// A link to a worker that runs, and the worker's ends.
fn running() -> (Link, io::PipeReader, io::PipeWriter) {
    let (mut link, input, output) = parked();
    link.phase = Phase::Running;
    (link, input, output)
}

fn start(source_bytes: usize) -> ToWorker {
    ToWorker::Start(Start {
        source: "x".repeat(source_bytes),
        limits: ExecutionLimits {
            heap_bytes: 0,
            buffer_bytes: 0,
            cpu_seconds: 0,
            snapshot_bytes: 0,
        },
        heap: HeapUse::Discard,
        grants: Grants { fetch: true },
    })
}

fn pull() -> FromWorker {
    FromWorker::Fetch(FetchCall {
        exchange: 0,
        step: CallStep::Pull,
    })
}

fn reply(step: ReplyStep) -> FetchReply {
    FetchReply { exchange: 0, step }
}

/// The largest there is.
fn data() -> FetchReply {
    reply(ReplyStep::Data(vec![b'x'; BODY_CHUNK_BYTES_MAX]))
}

/// Lets travel what can.
async fn travel(link: &mut Link) {
    while let Ok(heard) = timeout(AT_ONCE, link.hear(Ear::Shut)).await {
        assert!(matches!(heard, Ok(Heard::Room)), "{heard:?}");
    }
}

/// Messages read from the worker's end, so many of them.
fn read(input: &mut io::PipeReader, messages: usize) -> Vec<ToWorker> {
    let mut reader = FrameReader::<ToWorker>::default();
    let mut read = Vec::new();
    while read.len() < messages {
        match reader.next_message().expect("a good link") {
            Some(message) => read.push(message),
            None => {
                let mut bytes = [0; 4096];
                let length = input.read(&mut bytes).expect("an open pipe");
                reader.push(&bytes[..length]);
            }
        }
    }
    read
}

#[tokio::test]
async fn messages_are_counted() {
    let (mut link, _input, mut output) = running();
    assert_eq!(link.frames_left, FRAMES_MAX - 1);
    link.frames_left = 2;
    let text = String::new();
    for _ in 0..3 {
        say(
            &mut output,
            &FromWorker::Console(Console { text: text.clone() }),
        );
    }
    for _ in 0..2 {
        assert!(matches!(link.receive().await, Ok(Some(_))));
    }
    let error = link.receive().await;
    assert!(matches!(error, Err(LinkError::TooManyFrames)), "{error:?}");
}

#[tokio::test]
async fn messages_that_are_here_already_leave_others_their_turn() {
    let (mut link, _input, mut output) = running();
    let text = String::new();
    for _ in 0..2000 {
        say(
            &mut output,
            &FromWorker::Console(Console { text: text.clone() }),
        );
    }
    let other = tokio::spawn(std::future::ready(()));
    let mut heard = 0;
    while !other.is_finished() {
        assert!(matches!(link.receive().await, Ok(Some(_))));
        heard += 1;
    }
    assert!(
        heard < 1000,
        "{heard} messages before anybody else had a turn"
    );
}

#[tokio::test]
async fn messages_about_requests_are_counted_by_themselves() {
    let (mut link, _input, mut output) = running();
    assert_eq!(link.calls_left, FETCH_CALLS_MAX);
    link.calls_left = 1;
    say(&mut output, &pull());
    let text = String::new();
    say(&mut output, &FromWorker::Console(Console { text }));
    say(&mut output, &pull());
    for _ in 0..2 {
        assert!(matches!(link.receive().await, Ok(Some(_))));
    }
    let error = link.receive().await;
    assert!(matches!(error, Err(LinkError::TooManyCalls)), "{error:?}");
}

#[tokio::test]
async fn replies_travel_in_order_while_the_worker_speaks() {
    const REPLIES: usize = 20;
    let (mut link, mut input, mut output) = parked();
    link.send(&start(0)).expect("it is parked");
    travel(&mut link).await;
    let worker = std::thread::spawn(move || {
        assert_eq!(read(&mut input, 1), [start(0)]);
        for _ in 0..REPLIES {
            say(&mut output, &pull());
            let piece = read(&mut input, 1);
            assert_eq!(piece, [ToWorker::Fetch(data())]);
        }
    });
    let mut heard = 0;
    while let Some(message) = link.receive().await.expect("a good worker") {
        assert_eq!(message, pull());
        assert!(link.has_room());
        link.reply(data()).expect("it runs");
        heard += 1;
    }
    worker.join().expect("the worker saw what it should");
    assert_eq!(heard, REPLIES);
}

#[tokio::test]
async fn a_worker_that_reads_no_reply_is_heard_and_costs_bounded_memory() {
    let (mut link, _input, mut output) = running();
    let mut replies = 0;
    while link.has_room() {
        link.reply(data()).expect("it runs");
        replies += 1;
        travel(&mut link).await;
        assert!(replies < 10, "there is always room");
    }
    for _ in 0..3 {
        say(&mut output, &pull());
        assert!(matches!(link.receive().await, Ok(Some(_))));
    }
    let heard = timeout(AT_ONCE, link.receive()).await;
    assert!(heard.is_err(), "{heard:?}");
    assert!(!link.has_room());
}

#[tokio::test]
async fn there_is_room_again_when_the_worker_has_read() {
    let (mut link, mut input, _output) = running();
    while link.has_room() {
        link.reply(data()).expect("it runs");
    }
    let worker = std::thread::spawn(move || read(&mut input, 1));
    let heard = timeout(10 * AT_ONCE, link.hear(Ear::Open)).await;
    assert!(matches!(heard, Ok(Ok(Heard::Room))), "{heard:?}");
    assert!(link.has_room());
    travel(&mut link).await;
    assert_eq!(worker.join().expect("it reads").len(), 1);
}

#[tokio::test]
async fn replies_to_a_worker_that_has_closed_its_pipe_go_nowhere() {
    let (mut link, input, mut output) = running();
    drop(input);
    link.reply(data()).expect("it runs");
    travel(&mut link).await;
    assert!(!link.has_room());
    link.reply(data()).expect("it runs");
    say(&mut output, &pull());
    assert!(matches!(link.receive().await, Ok(Some(_))));
}

#[tokio::test]
async fn a_call_before_all_of_the_script_is_written_is_a_violation() {
    let (mut link, _input, mut output) = parked();
    link.send(&start(2 * limits::PIPE_BYTES_MAX))
        .expect("it is parked");
    travel(&mut link).await;
    say(&mut output, &pull());
    let error = link.receive().await;
    assert!(matches!(error, Err(LinkError::Violation(_))), "{error:?}");
}

#[tokio::test]
async fn a_script_is_unread_until_there_are_replies() {
    let (mut link, input, output) = parked();
    link.send(&start(100)).expect("it is parked");
    travel(&mut link).await;
    drop((input, output));
    assert_eq!(link.into_letter().unread(), Some(start(100)));

    for travels in [false, true] {
        let (mut link, input, output) = parked();
        link.send(&start(100)).expect("it is parked");
        travel(&mut link).await;
        link.reply(reply(ReplyStep::More)).expect("it runs");
        if travels {
            travel(&mut link).await;
        }
        drop((input, output));
        assert_eq!(link.into_letter().unread(), None);
    }
}

#[tokio::test]
async fn a_script_of_which_something_was_read_is_not_unread() {
    let (mut link, mut input, output) = parked();
    link.send(&start(100)).expect("it is parked");
    travel(&mut link).await;
    input.read_exact(&mut [0]).expect("a byte of it");
    drop((input, output));
    assert_eq!(link.into_letter().unread(), None);
}

#[tokio::test]
async fn a_worker_that_has_finished_gets_no_reply() {
    let (mut link, _input, _output) = running();
    link.phase = Phase::Done;
    let error = link.reply(reply(ReplyStep::End));
    assert!(matches!(error, Err(LinkError::Violation(_))), "{error:?}");
}
