//! Frames: a little-endian `u32` length, then that many bytes of bincode.
//!
//! The reader is sans-I/O: give it bytes as they come, take messages out. It refuses a length above
//! the direction's limit before it has allocated anything for it, refuses a message that breaks a
//! text limit, and refuses bytes behind a message in its frame.
//!
//! bincode 2 is no longer maintained (RUSTSEC-2025-0141). It is used in this file only.

use std::marker::PhantomData;

use bincode::config::{Configuration, Fixint, Limit, LittleEndian};
use bincode::{Decode, Encode};

use crate::limits;
use crate::message::{Finished, FromWorker, Text, ToWorker};

/// A message that can travel in a frame: implemented by the two enums and nothing else.
pub trait Message: Encode + Decode<()> + sealed::Sealed {
    /// The largest payload of a frame in this direction, in bytes.
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
    let mut frame = vec![0; limits::FRAME_HEADER_BYTES];
    let payload = bincode::encode_to_vec(
        message,
        bincode::config::standard().with_fixed_int_encoding(),
    )
    .map_err(|_| DecodeError::Malformed { bytes: 0 })?;
    let too_long = DecodeError::FrameTooLong {
        bytes: payload.len() as u64,
        limit: M::FRAME_BYTES_MAX,
    };
    if payload.len() > M::FRAME_BYTES_MAX {
        return Err(too_long);
    }
    let length = u32::try_from(payload.len()).map_err(|_| too_long)?;
    frame[..limits::FRAME_HEADER_BYTES].copy_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(&payload);
    Ok(frame)
}

/// Takes bytes in any pieces and gives whole messages.
///
/// It never holds more than one frame beyond what it was given, and after an error it gives nothing
/// but that error: a conversation that was broken once stays broken.
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
        }
        self.buffer.extend_from_slice(bytes);
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
    // bincode's limit bounds what it allocates; the larger direction's constant serves both, since
    // a payload is already no longer than its own direction allows.
    const LIMIT: usize = {
        let (a, b) = (
            limits::FRAME_TO_WORKER_BYTES_MAX,
            limits::FRAME_FROM_WORKER_BYTES_MAX,
        );
        if a > b { a } else { b }
    };
    let (message, read): (M, usize) = bincode::decode_from_slice(payload, config::<LIMIT>())
        .map_err(|_| DecodeError::Malformed {
            bytes: payload.len(),
        })?;
    if read < payload.len() {
        return Err(DecodeError::TrailingBytes {
            bytes: payload.len() - read,
        });
    }
    message.check()?;
    Ok(message)
}

fn text(field: &'static str, text: &str, limit: usize) -> Result<(), DecodeError> {
    if text.len() > limit {
        return Err(DecodeError::TextTooLong {
            field,
            bytes: text.len(),
            limit,
        });
    }
    Ok(())
}

impl Message for ToWorker {
    const FRAME_BYTES_MAX: usize = limits::FRAME_TO_WORKER_BYTES_MAX;

    fn check(&self) -> Result<(), DecodeError> {
        match self {
            Self::Start(start) => text("Start.source", &start.source, limits::SOURCE_BYTES_MAX),
        }
    }
}

impl Message for FromWorker {
    const FRAME_BYTES_MAX: usize = limits::FRAME_FROM_WORKER_BYTES_MAX;

    fn check(&self) -> Result<(), DecodeError> {
        let cut = |field, value: &Text, limit| text(field, &value.text, limit);
        match self {
            Self::Hello(hello) => {
                text(
                    "Hello.worker_version",
                    &hello.worker_version,
                    limits::VERSION_BYTES_MAX,
                )?;
                text(
                    "Hello.v8_version",
                    &hello.v8_version,
                    limits::VERSION_BYTES_MAX,
                )
            }
            Self::Console(console) => text(
                "Console.text",
                &console.text,
                limits::CONSOLE_CHUNK_BYTES_MAX,
            ),
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
        }
    }
}
