//! The body of a response, decoded while it is read: what is not pulled costs nothing.

use std::io;
use std::sync::Arc;

use async_compression::tokio::bufread::{DeflateDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder};
use async_compression::zstd::DParameter;
use bytes::{BufMut as _, Bytes};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use http::header::{CONTENT_ENCODING, HeaderMap};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use mcp_v8_protocol::limits::BODY_CHUNK_BYTES_MAX;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::io::StreamReader;

use super::budget::Budget;
use super::failure::{Failure, Trouble};
use crate::limits::{FETCH_ZSTD_AT_ONCE_MAX, FETCH_ZSTD_WINDOW_LOG_MAX};

/// What is asked for when a script does not say what it takes.
pub(super) const ACCEPTED: &str = "gzip, deflate, zstd";

/// How a body is coded that we can decode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    Deflate,
    Zstd,
}

/// A body that is read piece by piece.
pub(super) struct Content {
    state: State,
    coding: Option<Coding>,
    /// Held while there may be a window of zstd.
    window: Option<SemaphorePermit<'static>>,
}

/// The windows of zstd that there may be in all of this process.
static WINDOWS: Semaphore = Semaphore::const_new(FETCH_ZSTD_AT_ONCE_MAX);

type Raw = StreamReader<BoxStream<'static, io::Result<Bytes>>, Bytes>;

enum State {
    /// As it comes; nothing of it was read yet if it is to be decoded.
    Raw(Raw),
    Decoded(Box<dyn AsyncRead + Send + Unpin>),
    Over,
}

impl Coding {
    /// That of a response, if it has one alone: what is coded twice is left to its script.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut all = headers.get_all(CONTENT_ENCODING).iter();
        let only = all.next().filter(|_| all.next().is_none())?;
        match only.to_str().ok()?.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "deflate" => Some(Self::Deflate),
            "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Zstd => "zstd",
        }
    }

    /// `first` is the first byte: those who say deflate mean either of two formats.
    fn decoder(self, first: u8, raw: Raw) -> Box<dyn AsyncRead + Send + Unpin> {
        match self {
            Self::Gzip => {
                let mut decoder = GzipDecoder::new(raw);
                decoder.multiple_members(true);
                Box::new(decoder)
            }
            Self::Deflate if first & 0x0f == 8 => Box::new(ZlibDecoder::new(raw)),
            Self::Deflate => Box::new(DeflateDecoder::new(raw)),
            Self::Zstd => {
                let window = DParameter::window_log_max(FETCH_ZSTD_WINDOW_LOG_MAX);
                let mut decoder = ZstdDecoder::with_params(raw, &[window]);
                decoder.multiple_members(true);
                Box::new(decoder)
            }
        }
    }
}

impl Content {
    pub(super) fn new(body: Incoming, coding: Option<Coding>, budget: Arc<Budget>) -> Self {
        let counted = body.into_data_stream().map(move |piece| {
            let piece = piece.map_err(io::Error::other)?;
            budget.receive(piece.len()).map_err(io::Error::other)?;
            Ok(piece)
        });
        Self {
            state: State::Raw(StreamReader::new(counted.boxed())),
            coding,
            window: None,
        }
    }

    /// The next piece; `None` at the end.
    pub(super) async fn piece(&mut self, place: &str) -> Result<Option<Vec<u8>>, Failure> {
        match self.read().await {
            Ok(piece) if piece.is_empty() => {
                self.state = State::Over;
                self.window = None;
                Ok(None)
            }
            Ok(piece) => Ok(Some(piece)),
            Err(error) => Err(self.explain(error, place)),
        }
    }

    async fn read(&mut self) -> io::Result<Vec<u8>> {
        self.begin().await?;
        let reader: &mut (dyn AsyncRead + Send + Unpin) = match &mut self.state {
            State::Raw(raw) => raw,
            State::Decoded(decoded) => decoded,
            State::Over => return Ok(Vec::new()),
        };
        let mut piece = Vec::with_capacity(BODY_CHUNK_BYTES_MAX).limit(BODY_CHUNK_BYTES_MAX);
        reader.read_buf(&mut piece).await?;
        Ok(piece.into_inner())
    }

    /// Chooses the decoder once there is something to decode: an empty body is not coded, whatever its
    /// head says.
    async fn begin(&mut self) -> io::Result<()> {
        let (State::Raw(raw), Some(coding)) = (&mut self.state, self.coding) else {
            return Ok(());
        };
        let first = raw.fill_buf().await?.first().copied();
        if coding == Coding::Zstd && first.is_some() && self.window.is_none() {
            // Whoever waits too long for one has waited too long for a piece.
            self.window = WINDOWS.acquire().await.ok();
        }
        let raw = std::mem::replace(&mut self.state, State::Over);
        if let (Some(first), State::Raw(raw)) = (first, raw) {
            self.state = State::Decoded(coding.decoder(first, raw));
        }
        Ok(())
    }

    fn explain(&self, error: io::Error, place: &str) -> Failure {
        let inner = error.get_ref();
        if inner.is_some_and(|inner| inner.is::<Failure>()) {
            return match error.downcast::<Failure>() {
                Ok(failure) => failure,
                Err(_) => Failure::Internal,
            };
        }
        if let Some(hyper) = inner.and_then(|inner| inner.downcast_ref::<hyper::Error>()) {
            return Trouble::of_connection(hyper).at(place);
        }
        match self.coding {
            Some(coding) => Trouble::Coding(coding.name()).at(place),
            None => Trouble::of_connection(&error).at(place),
        }
    }
}
