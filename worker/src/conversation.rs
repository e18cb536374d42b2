//! The worker's half of the conversation with its supervisor, over any two streams.
//!
//! ```text
//! prepare ─▶ Hello ─▶ wait for Start ─▶ tighten ─▶ run (Console*, Fetch*) ─▶ Finished
//!                                          └ restore ┘                          └▶ save ─▶ Saved, Unsaved
//! ```
//!
//! What a script has come to is said before its heap is saved: some heaps make V8 end the process.
//! After its last word a worker waits for the end of its input, or of itself: what a process has used can be
//! read while it lives, and nobody waits until its memory is taken apart.
//!
//! Everything that trusts nothing but this program happens in `prepare`; the first byte of a user is
//! read after Hello. The end of the input before Start means that the worker is not needed.

use std::io::{self, ErrorKind, Write};
use std::mem::ManuallyDrop;
use std::time::Instant;

use mcp_v8_protocol::PROTOCOL_VERSION;
use mcp_v8_protocol::codec::{DecodeError, FrameReader, encode};
use mcp_v8_protocol::exit::ExitCode;
use mcp_v8_protocol::fetch::{FetchCall, FetchReply};
use mcp_v8_protocol::limits::{CONSOLE_CHUNK_BYTES_MAX, ERROR_BYTES_MAX, UNSAVED_BYTES_MAX};
use mcp_v8_protocol::message::{
    Confinement, Console, ExecutionLimits, Failure, FailureKind, Finished, FromWorker, Grants,
    HeapUse, Hello, Saved, Start, Text, ToWorker, Unsaved,
};
use mcp_v8_protocol::phase::{Phase, Violation};

use crate::input::Input;
use crate::runtime::{Host, Realm, heap_build, v8_version};
use crate::window::{TooLarge, Window};

/// How much is read from the supervisor at once, in bytes.
const READ_BYTES: usize = 64 << 10;

/// The same at first. Most scripts are short, and each page that a worker of a fork server touches is copied for it.
const FIRST_READ_BYTES: usize = 2 << 10;

/// How much is read at once of what nobody wants any more, in bytes.
const LINGER_READ_BYTES: usize = 4 << 10;

/// Why a conversation broke off.
#[derive(Debug, thiserror::Error)]
pub enum ConversationError {
    /// A stream broke.
    #[error("cannot talk to the supervisor: {0}")]
    Io(#[from] io::Error),
    /// Bytes that are no message.
    #[error("the supervisor sent {0}")]
    Decode(#[from] DecodeError),
    /// A message out of turn.
    #[error("the supervisor broke the protocol: {0}")]
    Violation(#[from] Violation),
    /// Bytes behind Start.
    #[error("the supervisor sent more than one message")]
    TrailingInput,
    /// A heap for a worker that keeps none, or none for one that does.
    #[error("the supervisor asked for a heap of a worker that keeps none, or the other way round")]
    OtherMode,
    /// A stored heap that is larger than the window it lies in.
    #[error("the supervisor lied about the size of the heap: {0}")]
    Window(#[from] TooLarge),
}

/// A runtime that is ready for a script.
#[derive(Debug)]
pub enum Prepared {
    /// Its heap is thrown away.
    Stateless(Realm),
    /// Its heap is new, or makes room for a stored one, and is saved.
    Stateful(Realm, Window),
}

/// What the process does about its own limits.
pub trait Limiter {
    /// Takes on the limits of the execution, before its source or heap is looked at.
    fn tighten(&self, limits: &ExecutionLimits, heap: HeapUse);

    /// Takes the memory that was kept back to save the heap: no script runs any more.
    fn make_room_to_save(&self);
}

/// What became of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The script ran, and Finished was said.
    Finished,
    /// The supervisor closed its end before Start.
    NotNeeded,
}

/// Holds the conversation. `prepare` makes the runtime and confines the process, before Hello.
///
/// # Errors
/// [`ConversationError`] when the other end broke the protocol or a stream failed.
pub fn converse<O: Write + 'static>(
    input: impl Input + 'static,
    output: O,
    prepare: impl FnOnce() -> (Prepared, Confinement),
    limiter: &impl Limiter,
) -> Result<End, ConversationError> {
    let (prepared, confinement) = prepare();
    // Tearing V8 down takes longer than most scripts, and an isolate that makes snapshots must not be
    // torn down without one: the process ends instead, whatever ends the conversation.
    let prepared = ManuallyDrop::new(prepared);
    let mut speaker = Speaker {
        output,
        input,
        frames: FrameReader::default(),
        room: FIRST_READ_BYTES,
        phase: Phase::Booting,
        grants: Grants::default(),
        heap_bytes: 0,
    };
    speaker.say(&FromWorker::Hello(Hello {
        protocol_version: PROTOCOL_VERSION,
        worker_version: env!("CARGO_PKG_VERSION").to_owned(),
        v8_version: v8_version().to_owned(),
        heap_build: heap_build().to_owned(),
        confinement,
    }))?;
    let Some(message) = speaker.first()? else {
        return Ok(End::NotNeeded);
    };
    let ToWorker::Start(Start {
        source,
        limits,
        heap,
        grants,
    }) = message
    else {
        unreachable!("the phase lets nothing else through")
    };
    speaker.heap_bytes = limits.heap_bytes;
    speaker.grants = grants;
    limiter.tighten(&limits, heap);
    let (realm, window) = realm_for(prepared, &limits, heap)?;
    let mut realm = ManuallyDrop::new(realm);
    let outcome = realm.run(&source, &limits, Box::new(speaker));
    let Some(mut host) = realm.take_host() else {
        unreachable!("run leaves the host in its place")
    };
    let finished = Finished::from(outcome);
    let is_to_save = matches!(finished, Finished::Completed(_));
    host.finished(&FromWorker::Finished(finished))?;
    match window {
        Some(window) if is_to_save => {
            limiter.make_room_to_save();
            host.finished(&save(ManuallyDrop::into_inner(realm), window))?;
        }
        Some(_) | None => {}
    }
    host.linger();
    Ok(End::Finished)
}

/// The runtime with the heap that is asked for, and where it is to be saved.
fn realm_for(
    mut prepared: ManuallyDrop<Prepared>,
    limits: &ExecutionLimits,
    heap: HeapUse,
) -> Result<(Realm, Option<Window>), ConversationError> {
    let snapshot = match (&mut *prepared, heap) {
        (Prepared::Stateless(_), HeapUse::Discard) => None,
        (Prepared::Stateful(_, window), HeapUse::New) => {
            window.open_to(limits.snapshot_bytes);
            None
        }
        (Prepared::Stateful(_, window), HeapUse::Continue { bytes }) => {
            window.open_to(limits.snapshot_bytes);
            // SAFETY: nothing is put into the window before `save` has taken the runtime apart.
            Some(unsafe { window.snapshot(bytes) }?)
        }
        (Prepared::Stateless(_), HeapUse::New | HeapUse::Continue { .. })
        | (Prepared::Stateful(..), HeapUse::Discard) => return Err(ConversationError::OtherMode),
    };
    let (realm, window) = match ManuallyDrop::into_inner(prepared) {
        Prepared::Stateless(realm) => (realm, None),
        Prepared::Stateful(realm, window) => (realm, Some(window)),
    };
    Ok(match snapshot {
        None => (realm, window),
        Some(snapshot) => (realm.with_heap(snapshot.into()), window),
    })
}

/// Saves the heap, and says what became of it.
fn save(realm: Realm, mut window: Window) -> FromWorker {
    let why = match realm.into_snapshot() {
        Err(error) => error.to_string(),
        Ok(snapshot) => match window.put(&snapshot) {
            Ok(()) => {
                return FromWorker::Saved(Saved {
                    bytes: snapshot.len() as u64,
                });
            }
            Err(TooLarge { bytes, room }) => format!(
                "its snapshot has {} MB, more than the {} MB that the execution's limit of memory \
                 allows",
                bytes.div_ceil(1 << 20),
                room >> 20
            ),
        },
    };
    FromWorker::Unsaved(Unsaved {
        why: Text::cut(why, UNSAVED_BYTES_MAX),
    })
}

/// Says things and hears things in turn.
struct Speaker<I, O> {
    output: O,
    input: I,
    frames: FrameReader<ToWorker>,
    /// How much is read next.
    room: usize,
    phase: Phase,
    grants: Grants,
    /// The heap limit, for the last word.
    heap_bytes: u64,
}

impl<I: Input, O: Write> Speaker<I, O> {
    fn say(&mut self, message: &FromWorker) -> Result<(), ConversationError> {
        self.phase = self.phase.on_from_worker(message)?;
        self.output.write_all(&encode(message)?)?;
        self.output.flush()?;
        Ok(())
    }

    /// The message that everything begins with. Nothing has been asked yet, so nothing else comes with
    /// it. `None` when the supervisor has gone.
    fn first(&mut self) -> Result<Option<ToWorker>, ConversationError> {
        let message = loop {
            if let Some(message) = self.frames.next_message()? {
                break message;
            }
            if self.read()? == 0 {
                if self.frames.is_mid_frame() {
                    return Err(io::Error::from(ErrorKind::UnexpectedEof).into());
                }
                return Ok(None);
            }
        };
        if self.frames.is_mid_frame() {
            return Err(ConversationError::TrailingInput);
        }
        self.phase = self.phase.on_to_worker(&message)?;
        Ok(Some(message))
    }

    /// What has come at that time.
    fn hear(&mut self, until: Option<Instant>) -> Result<Option<FetchReply>, ConversationError> {
        loop {
            if let Some(message) = self.frames.next_message()? {
                self.phase = self.phase.on_to_worker(&message)?;
                match message {
                    ToWorker::Fetch(reply) => return Ok(Some(reply)),
                    ToWorker::Start(_) => unreachable!("the phase lets no second one through"),
                }
            }
            if !self.input.wait(until)? {
                return Ok(None);
            }
            if self.read()? == 0 {
                return Err(io::Error::from(ErrorKind::UnexpectedEof).into());
            }
        }
    }

    /// Reads what is there; 0 at the end of the stream.
    fn read(&mut self) -> io::Result<usize> {
        let mut bytes = vec![0; self.room];
        loop {
            match self.input.read(&mut bytes) {
                Ok(read) => {
                    if read == self.room {
                        self.room = READ_BYTES;
                    }
                    self.frames.push(&bytes[..read]);
                    return Ok(read);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// As [`Speaker::say`], in the middle of a script.
    fn say_or_end(&mut self, message: &FromWorker) {
        if self.say(message).is_err() {
            // Nobody listens any more, and nobody will want the result.
            end_process(ExitCode::Protocol);
        }
    }
}

impl<I: Input, O: Write> Host for Speaker<I, O> {
    fn console(&mut self, mut text: &str) {
        while !text.is_empty() {
            let (chunk, rest) = text.split_at(text.floor_char_boundary(CONSOLE_CHUNK_BYTES_MAX));
            self.say_or_end(&FromWorker::Console(Console {
                text: chunk.to_owned(),
            }));
            text = rest;
        }
    }

    fn grants(&self) -> Grants {
        self.grants
    }

    fn fetch(&mut self, call: FetchCall) {
        self.say_or_end(&FromWorker::Fetch(call));
    }

    fn next_reply(&mut self, until: Option<Instant>) -> Option<FetchReply> {
        match self.hear(until) {
            Ok(reply) => reply,
            Err(_) => end_process(ExitCode::Protocol),
        }
    }

    fn finished(&mut self, message: &FromWorker) -> Result<(), ConversationError> {
        self.say(message)
    }

    fn linger(&mut self) {
        let mut unread = [0; LINGER_READ_BYTES];
        loop {
            match self.input.read(&mut unread) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // It is not there any more.
                Err(_) => return,
            }
        }
    }

    fn heap_limit_reached(&mut self) -> ! {
        let megabytes = self.heap_bytes >> 20;
        let error = format!("The script used up its heap of {megabytes} MB");
        let error = Text::cut(error, ERROR_BYTES_MAX);
        let last_word = Finished::Failed(Failure {
            kind: FailureKind::Memory,
            error,
        });
        match self.say(&FromWorker::Finished(last_word)) {
            Ok(()) => {
                self.linger();
                end_process(ExitCode::Done)
            }
            Err(_) => end_process(ExitCode::HeapLimit),
        }
    }
}

/// Ends the process at once, without destructors: V8 may be anywhere.
pub fn end_process(code: ExitCode) -> ! {
    // SAFETY: `_exit` takes no pointer and does not return.
    unsafe { libc::_exit(i32::from(code.code())) }
}
