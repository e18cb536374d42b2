//! Frames: a little-endian `u32` length, then that many bytes of bincode.
//!
//! The reader is sans-I/O: give it bytes as they come, take messages out. It refuses a length above
//! the direction's limit before it has allocated anything for it, refuses a message that breaks a
//! text limit, and refuses bytes behind a message in its frame. A length that is only claimed, of a
//! frame, a text or a list, costs no memory: what is held stays in proportion to what has come.
//!
//! bincode 2 is no longer maintained (RUSTSEC-2025-0141). It is used in this file, and by the messages
//! that say how they are read: nearly all derive it.

use std::marker::PhantomData;

use bincode::config::{Configuration, Fixint, Limit, LittleEndian};
use bincode::{Decode, Encode};

use crate::fetch::{CallStep, Header, ReplyStep, Request, RequestBody, Response};
use crate::limits;
use crate::message::{Finished, FromWorker, HeapUse, Hello, Text, ToWorker};
use crate::zygote::{FromZygote, ToZygote, ZYGOTE_PACKET_BYTES_MAX};

/// A message that can travel in a frame or a packet: implemented by the enums of both conversations
/// and nothing else.
pub trait Message: Encode + Decode<()> + sealed::Sealed {
    /// The largest payload in this direction, in bytes.
    const FRAME_BYTES_MAX: usize;

    /// Checks the texts inside against their limits.
    ///
    /// # Errors
    /// [`DecodeError::TextTooLong`] names the first text that is too long.
    fn check(&self) -> Result<(), DecodeError>;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for crate::message::ToWorker {}
    impl Sealed for crate::message::FromWorker {}
    impl Sealed for crate::zygote::ToZygote {}
    impl Sealed for crate::zygote::FromZygote {}
}

/// Why bytes are not a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The frame's length is above the limit of its direction.
    #[error("a frame of {bytes} bytes is above the limit of {limit}")]
    FrameTooLong {
        /// What the prefix says.
        bytes: u64,
        /// The limit of this direction.
        limit: usize,
    },
    /// The payload is not a message of this direction.
    #[error("a frame of {bytes} bytes holds no message")]
    Malformed {
        /// The frame's length.
        bytes: usize,
    },
    /// The message is shorter than its frame.
    #[error("{bytes} bytes follow the message in its frame")]
    TrailingBytes {
        /// How many.
        bytes: usize,
    },
    /// A text inside is longer than its limit.
    #[error("{field} has {bytes} bytes, above its limit of {limit}")]
    TextTooLong {
        /// Which text.
        field: &'static str,
        /// Its length.
        bytes: usize,
        /// Its limit.
        limit: usize,
    },
    /// A size inside is 0 or above its limit.
    #[error("{field} is {bytes}, not 1 to {limit}")]
    SizeOutOfRange {
        /// Which size.
        field: &'static str,
        /// What it is.
        bytes: u64,
        /// Its limit.
        limit: u64,
    },
}

type Config<const BYTES: usize> = Configuration<LittleEndian, Fixint, Limit<BYTES>>;

const fn config<const BYTES: usize>() -> Config<BYTES> {
    bincode::config::standard()
        .with_fixed_int_encoding()
        .with_limit::<BYTES>()
}

/// Encodes a message as one frame, prefix and all.
///
/// # Errors
/// [`DecodeError`] when the message breaks a limit: the other end would refuse it.
pub fn encode<M: Message>(message: &M) -> Result<Vec<u8>, DecodeError> {
    message.check()?;
    // The prefix is a field in front of the message until its value is known.
    let mut frame = bincode::encode_to_vec(
        (0_u32, message),
        bincode::config::standard().with_fixed_int_encoding(),
    )
    .map_err(|_| DecodeError::Malformed { bytes: 0 })?;
    let bytes = frame.len().saturating_sub(limits::FRAME_HEADER_BYTES);
    let limit = M::FRAME_BYTES_MAX;
    let too_long = DecodeError::FrameTooLong {
        bytes: bytes as u64,
        limit,
    };
    match (u32::try_from(bytes), frame.first_chunk_mut()) {
        (Ok(length), Some(prefix)) if bytes <= limit => *prefix = length.to_le_bytes(),
        _ => return Err(too_long),
    }
    Ok(frame)
}

/// Encodes a message as one payload, without a prefix: for packets, which have lengths of their own.
/// [`decode_payload`] reads it.
///
/// # Errors
/// As [`encode`].
pub fn encode_payload<M: Message>(message: &M) -> Result<Vec<u8>, DecodeError> {
    Ok(encode(message)?.split_off(limits::FRAME_HEADER_BYTES))
}

/// A reader's buffer above twice this size is given back when it is no longer needed.
const BUFFER_KEPT_BYTES: usize = 64 << 10;

/// Takes bytes in any pieces and gives whole messages.
///
/// It never holds more than one unfinished frame and what was pushed since messages were last taken
/// out, and gives the memory of a long frame back with the next push. After an error it gives
/// nothing but that error: a conversation that was broken once stays broken.
#[derive(Debug)]
pub struct FrameReader<M> {
    buffer: Vec<u8>,
    start: usize,
    broken: Option<DecodeError>,
    message: PhantomData<fn() -> M>,
}

impl<M: Message> Default for FrameReader<M> {
    fn default() -> Self {
        Self {
            buffer: Vec::new(),
            start: 0,
            broken: None,
            message: PhantomData,
        }
    }
}

impl<M: Message> FrameReader<M> {
    /// Takes bytes as they came. Keep pieces small (64 KiB): they are held until they are read.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.broken.is_some() {
            return;
        }
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
            let held = self.buffer.len() + bytes.len();
            if self.buffer.capacity() > 2 * BUFFER_KEPT_BYTES.max(held) {
                self.buffer.shrink_to(held);
            }
        }
        self.make_room_for(bytes.len());
        self.buffer.extend_from_slice(bytes);
    }

    /// Doubles the buffer as a vector does, but not beyond one frame and one piece.
    fn make_room_for(&mut self, bytes: usize) {
        let held = self.buffer.len() + bytes;
        let capacity = self.buffer.capacity();
        if held > capacity {
            let frame_bytes_max = limits::FRAME_HEADER_BYTES + M::FRAME_BYTES_MAX;
            let wanted = (2 * capacity).min(frame_bytes_max + bytes).max(held);
            self.buffer.reserve_exact(wanted - self.buffer.len());
        }
    }

    /// Whether bytes of an unfinished frame are held. At the end of a stream this means that the
    /// other end died in the middle of a message.
    pub fn is_mid_frame(&self) -> bool {
        self.buffer.len() > self.start
    }

    /// The next whole message; `None` when more bytes are needed.
    ///
    /// # Errors
    /// [`DecodeError`], now and at every later call.
    pub fn next_message(&mut self) -> Result<Option<M>, DecodeError> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        self.try_next().inspect_err(|error| {
            self.broken = Some(error.clone());
            self.buffer = Vec::new();
            self.start = 0;
        })
    }

    fn try_next(&mut self) -> Result<Option<M>, DecodeError> {
        let held = &self.buffer[self.start..];
        let Some((prefix, rest)) = held.split_first_chunk::<{ limits::FRAME_HEADER_BYTES }>()
        else {
            return Ok(None);
        };
        let bytes = u32::from_le_bytes(*prefix);
        let limit = M::FRAME_BYTES_MAX;
        let length = usize::try_from(bytes).unwrap_or(usize::MAX);
        if length > limit {
            return Err(DecodeError::FrameTooLong {
                bytes: u64::from(bytes),
                limit,
            });
        }
        let Some(payload) = rest.get(..length) else {
            return Ok(None);
        };
        let message = decode_payload(payload)?;
        self.start += limits::FRAME_HEADER_BYTES + length;
        Ok(Some(message))
    }
}

/// Decodes one payload (a frame without its prefix).
///
/// # Errors
/// [`DecodeError`] when the bytes are not exactly one message within its limits.
pub fn decode_payload<M: Message>(payload: &[u8]) -> Result<M, DecodeError> {
    let bytes = payload.len();
    if bytes > M::FRAME_BYTES_MAX {
        return Err(DecodeError::FrameTooLong {
            bytes: bytes as u64,
            limit: M::FRAME_BYTES_MAX,
        });
    }
    let (message, read): (M, usize) =
        decode_in_proportion(payload).map_err(|_| DecodeError::Malformed { bytes })?;
    if read < bytes {
        return Err(DecodeError::TrailingBytes {
            bytes: bytes - read,
        });
    }
    message.check()?;
    Ok(message)
}

/// Decodes with the smallest step of bincode's limit that fits the payload.
///
/// bincode allocates what a text's length claims, up to its limit, before it looks whether so many
/// bytes are there; and the limit is a constant. A message never claims more than its payload has,
/// so the steps keep a lie below four times the payload (or 256 bytes).
fn decode_in_proportion<M: Message>(
    payload: &[u8],
) -> Result<(M, usize), bincode::error::DecodeError> {
    const LAST: usize = 4 << 20;
    const {
        assert!(limits::FRAME_TO_WORKER_BYTES_MAX <= LAST);
        assert!(limits::FRAME_FROM_WORKER_BYTES_MAX <= LAST);
    }
    match payload.len() {
        0..=0x100 => bincode::decode_from_slice(payload, config::<0x100>()),
        0x101..=0x400 => bincode::decode_from_slice(payload, config::<0x400>()),
        0x401..=0x1000 => bincode::decode_from_slice(payload, config::<0x1000>()),
        0x1001..=0x4000 => bincode::decode_from_slice(payload, config::<0x4000>()),
        0x4001..=0x1_0000 => bincode::decode_from_slice(payload, config::<0x1_0000>()),
        0x1_0001..=0x4_0000 => bincode::decode_from_slice(payload, config::<0x4_0000>()),
        0x4_0001..=0x10_0000 => bincode::decode_from_slice(payload, config::<0x10_0000>()),
        _ => bincode::decode_from_slice(payload, config::<LAST>()),
    }
}

fn text(field: &'static str, text: &str, limit: usize) -> Result<(), DecodeError> {
    size(field, text.len(), limit)
}

fn snapshot_size(field: &'static str, bytes: u64) -> Result<(), DecodeError> {
    let limit = limits::SNAPSHOT_BYTES_MAX;
    if !(1..=limit).contains(&bytes) {
        return Err(DecodeError::SizeOutOfRange {
            field,
            bytes,
            limit,
        });
    }
    Ok(())
}

fn check_hello(hello: &Hello) -> Result<(), DecodeError> {
    let limit = limits::VERSION_BYTES_MAX;
    text("Hello.worker_version", &hello.worker_version, limit)?;
    text("Hello.v8_version", &hello.v8_version, limit)?;
    text(
        "Hello.heap_build",
        &hello.heap_build,
        limits::HEAP_BUILD_BYTES_MAX,
    )
}

fn check_call(step: &CallStep) -> Result<(), DecodeError> {
    match step {
        CallStep::Open(request) => check_request(request),
        CallStep::Send(bytes) => chunk_size("Send", bytes),
        CallStep::SendEnd | CallStep::Pull | CallStep::Abort => Ok(()),
    }
}

fn check_reply(step: &ReplyStep) -> Result<(), DecodeError> {
    match step {
        ReplyStep::Opened(response) => check_response(response),
        ReplyStep::Data(bytes) => chunk_size("Data", bytes),
        ReplyStep::Failed(why) => text("Failed", why, limits::FETCH_ERROR_BYTES_MAX),
        ReplyStep::More | ReplyStep::Again | ReplyStep::End => Ok(()),
    }
}

fn check_request(request: &Request) -> Result<(), DecodeError> {
    text("Request.method", &request.method, limits::METHOD_BYTES_MAX)?;
    text("Request.url", &request.url, limits::URL_BYTES_MAX)?;
    headers("Request.headers", &request.headers)?;
    match &request.body {
        RequestBody::None | RequestBody::Stream { .. } => Ok(()),
        RequestBody::Whole(bytes) => {
            size("Request.body", bytes.len(), limits::BODY_CHUNK_BYTES_MAX)
        }
    }
}

fn check_response(response: &Response) -> Result<(), DecodeError> {
    let limit = limits::STATUS_TEXT_BYTES_MAX;
    text("Response.status_text", &response.status_text, limit)?;
    text("Response.url", &response.url, limits::URL_BYTES_MAX)?;
    headers("Response.headers", &response.headers)
}

fn headers(field: &'static str, headers: &[Header]) -> Result<(), DecodeError> {
    let bytes = headers
        .iter()
        .map(|header| header.name.len() + header.value.len());
    size(field, headers.len(), limits::HEADERS_MAX)?;
    size(field, bytes.sum(), limits::HEADERS_BYTES_MAX)
}

fn size(field: &'static str, bytes: usize, limit: usize) -> Result<(), DecodeError> {
    if bytes > limit {
        return Err(DecodeError::TextTooLong {
            field,
            bytes,
            limit,
        });
    }
    Ok(())
}

fn chunk_size(field: &'static str, bytes: &[u8]) -> Result<(), DecodeError> {
    let limit = limits::BODY_CHUNK_BYTES_MAX;
    if bytes.is_empty() || bytes.len() > limit {
        return Err(DecodeError::SizeOutOfRange {
            field,
            bytes: bytes.len() as u64,
            limit: limit as u64,
        });
    }
    Ok(())
}

impl Message for ToWorker {
    const FRAME_BYTES_MAX: usize = limits::FRAME_TO_WORKER_BYTES_MAX;

    fn check(&self) -> Result<(), DecodeError> {
        match self {
            Self::Start(start) => {
                text("Start.source", &start.source, limits::SOURCE_BYTES_MAX)?;
                match start.heap {
                    HeapUse::Discard | HeapUse::New => Ok(()),
                    HeapUse::Continue { bytes } => snapshot_size("Start.heap", bytes),
                }
            }
            Self::Fetch(reply) => check_reply(&reply.step),
        }
    }
}

impl Message for FromWorker {
    const FRAME_BYTES_MAX: usize = limits::FRAME_FROM_WORKER_BYTES_MAX;

    fn check(&self) -> Result<(), DecodeError> {
        let cut = |field, value: &Text, limit| text(field, &value.text, limit);
        match self {
            Self::Hello(hello) => check_hello(hello),
            Self::Console(console) => text(
                "Console.text",
                &console.text,
                limits::CONSOLE_CHUNK_BYTES_MAX,
            ),
            Self::Fetch(call) => check_call(&call.step),
            Self::Finished(Finished::Completed(done)) => {
                cut("Completion.result", &done.result, limits::RESULT_BYTES_MAX)?;
                cut(
                    "Completion.preview",
                    &done.preview,
                    limits::PREVIEW_BYTES_MAX,
                )
            }
            Self::Finished(Finished::Failed(failure)) => {
                cut("Failure.error", &failure.error, limits::ERROR_BYTES_MAX)
            }
            Self::Saved(saved) => snapshot_size("Saved.bytes", saved.bytes),
            Self::Unsaved(unsaved) => cut("Unsaved.why", &unsaved.why, limits::UNSAVED_BYTES_MAX),
        }
    }
}

impl Message for ToZygote {
    const FRAME_BYTES_MAX: usize = ZYGOTE_PACKET_BYTES_MAX;

    fn check(&self) -> Result<(), DecodeError> {
        match self {
            Self::Fork(_) => Ok(()),
        }
    }
}

impl Message for FromZygote {
    const FRAME_BYTES_MAX: usize = ZYGOTE_PACKET_BYTES_MAX;

    fn check(&self) -> Result<(), DecodeError> {
        match self {
            Self::Hello(hello) => check_hello(hello),
            Self::Forked(_) | Self::Refused(_) | Self::Exited(_) => Ok(()),
        }
    }
}
