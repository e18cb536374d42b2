//! Requests in the conversation with a supervisor, over real pipes.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::fs::File;
use std::io::{Read as _, Write as _, pipe};
use std::os::fd::OwnedFd;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mcp_v8_protocol::codec::{FrameReader, encode};
use mcp_v8_protocol::exit::ExitCode;
use mcp_v8_protocol::fetch::{CallStep, FetchCall, FetchReply, ReplyStep, Response};
use mcp_v8_protocol::limits::BODY_CHUNK_BYTES_MAX;
use mcp_v8_protocol::message::{
    Confinement, ExecutionLimits, Finished, FromWorker, Grants, HeapUse, Start, ToWorker,
};
use mcp_v8_worker::conversation::{Limiter, Prepared, converse};
use mcp_v8_worker::runtime::Realm;

mod support;
use support::{in_a_process, part};

const LIMITS: ExecutionLimits = ExecutionLimits {
    heap_bytes: 8 << 20,
    buffer_bytes: 8 << 20,
    cpu_seconds: 60,
    snapshot_bytes: 0,
};

/// In front of a message: how long it is.
const LENGTH_BYTES: usize = 4;
/// What says which step it is.
const TAG_BYTES: usize = 4;

struct Lenient;

impl Limiter for Lenient {
    fn tighten(&self, _: &ExecutionLimits, _: HeapUse) {}
    fn make_room_to_save(&self) {}
}

/// The supervisor of one worker, which is a thread of this process.
struct Supervisor {
    to_worker: File,
    from_worker: File,
    frames: FrameReader<FromWorker>,
    worker: JoinHandle<()>,
}

fn file(end: impl Into<OwnedFd>) -> File {
    end.into().into()
}

fn start(source: &str, grants: Grants) -> ToWorker {
    ToWorker::Start(Start {
        source: source.to_owned(),
        limits: LIMITS,
        heap: HeapUse::Discard,
        grants,
    })
}

fn opened(status: u16) -> ReplyStep {
    ReplyStep::Opened(Response {
        status,
        status_text: String::new(),
        headers: Vec::new(),
        url: "http://a.test/".to_owned(),
        is_redirected: false,
    })
}

impl Supervisor {
    fn of(source: &str, grants: Grants) -> Self {
        let (input, to_worker) = pipe().unwrap();
        let (from_worker, output) = pipe().unwrap();
        let worker = thread::spawn(move || {
            let prepare = || {
                (
                    Prepared::Stateless(Realm::for_run()),
                    Confinement::default(),
                )
            };
            converse(file(input), file(output), prepare, &Lenient).unwrap();
        });
        let mut supervisor = Self {
            to_worker: file(to_worker),
            from_worker: file(from_worker),
            frames: FrameReader::default(),
            worker,
        };
        assert!(matches!(supervisor.hear(), FromWorker::Hello(_)));
        supervisor.say(&start(source, grants));
        supervisor
    }

    fn say(&mut self, message: &ToWorker) {
        self.to_worker.write_all(&encode(message).unwrap()).unwrap();
    }

    fn reply(&mut self, exchange: u32, step: ReplyStep) {
        self.say(&ToWorker::Fetch(FetchReply { exchange, step }));
    }

    /// A piece that no codec would write.
    fn unchecked_data(&mut self, bytes: usize) {
        let mut step = 2_u32.to_le_bytes().to_vec();
        step.extend(u64::try_from(bytes).unwrap().to_le_bytes());
        step.resize(step.len() + bytes, 7);
        self.unchecked(&step);
    }

    /// A reply for the first exchange, whose step is these bytes.
    fn unchecked(&mut self, step: &[u8]) {
        let end = ToWorker::Fetch(FetchReply {
            exchange: 0,
            step: ReplyStep::End,
        });
        let mut frame = encode(&end).unwrap();
        frame.truncate(frame.len() - TAG_BYTES);
        frame.extend(step);
        let length = u32::try_from(frame.len() - LENGTH_BYTES).unwrap();
        frame[..LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
        self.to_worker.write_all(&frame).unwrap();
    }

    fn hear(&mut self) -> FromWorker {
        loop {
            if let Some(message) = self.frames.next_message().unwrap() {
                return message;
            }
            let mut bytes = vec![0; 1 << 16];
            let read = self.from_worker.read(&mut bytes).unwrap();
            assert!(read > 0, "the worker has gone");
            self.frames.push(&bytes[..read]);
        }
    }

    fn call(&mut self) -> (u32, CallStep) {
        match self.hear() {
            FromWorker::Fetch(FetchCall { exchange, step }) => (exchange, step),
            other => panic!("{other:?}"),
        }
    }

    fn result(mut self) -> String {
        let FromWorker::Finished(finished) = self.hear() else {
            panic!("it says more")
        };
        // It stays, so that what it has used can be read, until nobody needs it.
        assert!(!self.worker.is_finished());
        drop(self.to_worker);
        self.worker.join().unwrap();
        match finished {
            Finished::Completed(done) => done.result.text,
            Finished::Failed(failure) => failure.error.text,
        }
    }
}

const GRANTED: Grants = Grants { fetch: true };
const GET: &str = "const r = await fetch('http://a.test/'); await r.text()";

#[test]
fn a_request_is_made_and_its_response_read_in_turn() {
    let mut supervisor = Supervisor::of(GET, GRANTED);
    let (0, CallStep::Open(request)) = supervisor.call() else {
        panic!("it opens first")
    };
    assert_eq!(request.url, "http://a.test/");
    supervisor.reply(0, opened(200));
    for piece in ["one ", "two"] {
        assert_eq!(supervisor.call(), (0, CallStep::Pull));
        thread::sleep(Duration::from_millis(5));
        supervisor.reply(0, ReplyStep::Data(piece.into()));
    }
    assert_eq!(supervisor.call(), (0, CallStep::Pull));
    supervisor.reply(0, ReplyStep::End);
    assert_eq!(supervisor.result(), "one two");
}

#[test]
fn what_comes_for_an_exchange_that_is_over_or_never_was_is_dropped() {
    let source = "const c = new AbortController(), p = fetch('http://a.test/', { signal: c.signal });
        setTimeout(() => c.abort('over'), 1);
        let why; try { await p } catch (e) { why = e } why + await (await fetch('http://b.test/')).text()";
    let mut supervisor = Supervisor::of(source, GRANTED);
    assert!(matches!(supervisor.call(), (0, CallStep::Open(_))));
    assert_eq!(supervisor.call(), (0, CallStep::Abort));
    assert!(matches!(supervisor.call(), (1, CallStep::Open(_))));
    for exchange in [0, 7, u32::MAX] {
        supervisor.reply(exchange, opened(200));
        supervisor.reply(exchange, ReplyStep::Data(vec![1]));
        supervisor.reply(exchange, ReplyStep::More);
        supervisor.reply(exchange, ReplyStep::End);
        supervisor.reply(exchange, ReplyStep::Failed("x".to_owned()));
    }
    supervisor.reply(1, opened(200));
    assert_eq!(supervisor.call(), (1, CallStep::Pull));
    supervisor.reply(1, ReplyStep::End);
    assert_eq!(supervisor.result(), "over");
}

#[test]
fn replies_that_come_in_one_write_are_taken_one_by_one_between_timers() {
    let source = "const seen = []; setTimeout(() => seen.push('timer'), 20);
        await Promise.all(['a', 'b'].map(async (name) => {
          const r = await fetch('http://a.test/' + name); seen.push(name + r.status) }));
        await new Promise((go) => setTimeout(go, 40)); seen.join()";
    let mut supervisor = Supervisor::of(source, GRANTED);
    for id in 0..2 {
        let (exchange, step) = supervisor.call();
        assert!(exchange == id && matches!(step, CallStep::Open(_)));
    }
    let both: Vec<u8> = [(1, 201), (0, 202)]
        .map(|(exchange, status)| {
            let step = opened(status);
            encode(&ToWorker::Fetch(FetchReply { exchange, step })).unwrap()
        })
        .concat();
    supervisor.to_worker.write_all(&both).unwrap();
    assert_eq!(supervisor.result(), "b201,a202,timer");
}

#[test]
fn a_body_that_is_wanted_again_is_sent_from_its_beginning() {
    const PIECES: usize = 3;
    let source = "const body = new Uint8Array(3 * 65536).map((_, at) => at >> 16);
        await (await fetch('http://a.test/', { method: 'POST', body })).text()";
    let mut supervisor = Supervisor::of(source, GRANTED);
    assert!(matches!(supervisor.call(), (0, CallStep::Open(_))));
    for asked in [0, 1, PIECES, PIECES + 1] {
        for at in 0..asked {
            supervisor.reply(0, ReplyStep::More);
            let expected = match u8::try_from(at) {
                Ok(at) if usize::from(at) < PIECES => {
                    CallStep::Send(vec![at; BODY_CHUNK_BYTES_MAX])
                }
                _ => CallStep::SendEnd,
            };
            assert_eq!(supervisor.call(), (0, expected), "{at} of {asked}");
        }
        if asked <= PIECES {
            supervisor.reply(0, ReplyStep::Again);
        }
    }
    supervisor.reply(0, opened(200));
    assert_eq!(supervisor.call(), (0, CallStep::Pull));
    supervisor.reply(0, ReplyStep::End);
    assert_eq!(supervisor.result(), "");
}

#[test]
fn room_that_no_body_needs_is_left() {
    let mut supervisor = Supervisor::of(GET, GRANTED);
    assert!(matches!(supervisor.call(), (0, CallStep::Open(_))));
    for _ in 0..1000 {
        supervisor.reply(0, ReplyStep::More);
    }
    supervisor.reply(0, opened(200));
    assert_eq!(supervisor.call(), (0, CallStep::Pull));
    supervisor.reply(0, ReplyStep::End);
    assert_eq!(supervisor.result(), "");
}

#[test]
fn room_for_more_than_there_is_left_gets_one_end() {
    let source = "const body = new ReadableStream({ start(it) { it.enqueue(new Uint8Array(3)); it.close() } });
        await (await fetch('http://a.test/', { method: 'POST', body, duplex: 'half' })).text()";
    let mut supervisor = Supervisor::of(source, GRANTED);
    assert!(matches!(supervisor.call(), (0, CallStep::Open(_))));
    for _ in 0..10 {
        supervisor.reply(0, ReplyStep::More);
    }
    assert_eq!(supervisor.call(), (0, CallStep::Send(vec![0; 3])));
    assert_eq!(supervisor.call(), (0, CallStep::SendEnd));
    supervisor.reply(0, opened(200));
    assert_eq!(supervisor.call(), (0, CallStep::Pull));
    supervisor.reply(0, ReplyStep::End);
    assert_eq!(supervisor.result(), "");
}

#[test]
fn a_script_that_fails_while_requests_are_open_has_failed() {
    let source = "fetch('http://a.test/'); setTimeout(() => { throw new Error('mine') }, 1); 1";
    let mut supervisor = Supervisor::of(source, GRANTED);
    assert!(matches!(supervisor.call(), (0, CallStep::Open(_))));
    let error = supervisor.result();
    assert!(error.starts_with("Error: mine"), "{error}");
}

#[test]
fn a_script_waits_for_a_request_whose_value_nobody_awaits() {
    let mut supervisor = Supervisor::of(
        "fetch('http://a.test/').then((r) => console.log(r.status)); 5",
        GRANTED,
    );
    assert!(matches!(supervisor.call(), (0, CallStep::Open(_))));
    thread::sleep(Duration::from_millis(20));
    supervisor.reply(0, opened(204));
    assert_eq!(supervisor.call(), (0, CallStep::Pull));
    let FromWorker::Console(console) = supervisor.hear() else {
        panic!("it shows the status")
    };
    assert_eq!(console.text, "204\n");
    supervisor.reply(0, ReplyStep::End);
    assert_eq!(supervisor.result(), "5");
}

#[test]
fn without_the_grant_there_is_nothing_to_ask_with() {
    let source =
        "[typeof fetch, typeof Headers, typeof Request, typeof Response, typeof FormData].join()";
    let supervisor = Supervisor::of(source, Grants::default());
    assert_eq!(
        supervisor.result(),
        "undefined,undefined,undefined,undefined,undefined"
    );
}

type Breach = fn(&mut Supervisor);

/// What a supervisor must not do, once a request is open.
const BREACHES: &[(&str, Breach)] = &[
    ("no message", |it| {
        it.to_worker.write_all(&[1, 0, 0, 0, 9]).unwrap();
    }),
    ("too long", |it| it.to_worker.write_all(&[255; 4]).unwrap()),
    ("start again", |it| it.say(&start("1", GRANTED))),
    ("data before the head", |it| {
        it.reply(0, ReplyStep::Data(vec![1]));
    }),
    ("the end before the head", |it| it.reply(0, ReplyStep::End)),
    ("two heads", |it| {
        it.reply(0, opened(200));
        it.reply(0, opened(200));
    }),
    ("data that was not asked for", |it| {
        it.reply(0, opened(200));
        it.reply(0, ReplyStep::Data(vec![1]));
    }),
    ("a piece of nothing", |it| it.unchecked_data(0)),
    ("a piece that is too large", |it| {
        it.unchecked_data(BODY_CHUNK_BYTES_MAX + 1);
    }),
    ("a step that there is not", |it| {
        it.unchecked(&99_u32.to_le_bytes());
    }),
    ("a body again that was none", |it| {
        it.reply(0, ReplyStep::Again);
    }),
    ("a body again, too late", |it| {
        it.reply(0, opened(200));
        it.reply(0, ReplyStep::Again);
    }),
    ("going away", |it| {
        let (_, write) = pipe().unwrap();
        it.to_worker = file(write);
    }),
];

#[test]
fn a_supervisor_that_breaks_the_protocol_ends_the_worker() {
    const NAME: &str = "a_supervisor_that_breaks_the_protocol_ends_the_worker";
    if let Some(part) = part() {
        let (_, breach) = BREACHES.iter().find(|(name, _)| *name == part).unwrap();
        // It reads no body, so that no piece of one is asked for.
        let source = "await fetch('http://a.test/'); await fetch('http://b.test/')";
        let mut supervisor = Supervisor::of(source, GRANTED);
        assert!(matches!(supervisor.call(), (0, CallStep::Open(_))));
        breach(&mut supervisor);
        loop {
            supervisor.hear();
        }
    }
    for (breach, _) in BREACHES {
        let output = in_a_process(NAME, breach);
        let code = i32::from(ExitCode::Protocol.code());
        let words = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{breach}: {words}");
    }
}
