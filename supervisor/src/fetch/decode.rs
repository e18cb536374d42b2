//! The body of a response, decoded while it is read: what is not pulled costs nothing.

use std::io;
use std::sync::Arc;

use async_compression::tokio::bufread::{
    BrotliDecoder, DeflateDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder,
};
use async_compression::zstd::DParameter;
use bytes::{BufMut as _, Bytes};
use futures_util::stream::{BoxStream, try_unfold};
use futures_util::{Stream, StreamExt as _};
use http::Version;
use http::header::{CONTENT_ENCODING, HeaderMap};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use mcp_v8_protocol::limits::BODY_CHUNK_BYTES_MAX;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _};
use tokio_util::io::StreamReader;

use super::budget::Budget;
use super::failure::{Failure, Trouble};
use super::windows::{Window, Windows};
use crate::limits::FETCH_ZSTD_WINDOW_LOG_MAX;

/// What is asked for when a script does not say what it takes.
pub(super) const ACCEPTED: &str = "gzip, deflate, br, zstd";

/// How a body is coded that we can decode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// What a body is read with.
#[derive(Debug)]
pub(super) struct Means {
    /// What is spoken on its connection.
    pub(super) version: Version,
    /// How it is coded.
    pub(super) coding: Option<Coding>,
    /// Where its bytes are counted as they come.
    pub(super) budget: Arc<Budget>,
    /// Where there is room to decode it.
    pub(super) windows: Windows,
}

/// A body that is read piece by piece.
pub(super) struct Content {
    state: State,
    coding: Option<Coding>,
    windows: Windows,
    /// Held while the decoder may have one.
    window: Option<Window>,
}

/// The server has reset the stream of a body before its end.
#[derive(Debug, thiserror::Error)]
#[error("the stream was reset")]
struct Severed;

/// What begins so wants more memory than a body in its coding may.
#[derive(Debug, thiserror::Error)]
#[error("the window is too large")]
struct LargeWindow;

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
            "br" => Some(Self::Brotli),
            "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }

    /// How large the window of a body is that begins so, as a power of two; `None` where it is too small to
    /// count.
    fn window_log(self, first: u8) -> Result<Option<u32>, LargeWindow> {
        match self {
            Self::Gzip | Self::Deflate => Ok(None),
            Self::Brotli => brotli_window_log(first).map(Some),
            // Another is refused by the decoder.
            Self::Zstd => Ok(Some(FETCH_ZSTD_WINDOW_LOG_MAX)),
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
            Self::Brotli => Box::new(BrotliDecoder::new(raw)),
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
    pub(super) fn new(body: Incoming, means: Means) -> Self {
        let Means {
            version,
            coding,
            budget,
            windows,
        } = means;
        let counted = pieces(body, version).map(move |piece| {
            let piece = piece?;
            budget.receive(piece.len()).map_err(io::Error::other)?;
            Ok(piece)
        });
        Self {
            state: State::Raw(StreamReader::new(counted.boxed())),
            coding,
            windows,
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
        let log = match first {
            Some(first) => coding.window_log(first).map_err(io::Error::other)?,
            None => None,
        };
        if let Some(log) = log
            && self.window.is_none()
        {
            // Whoever waits too long for it has waited too long for a piece.
            self.window = self.windows.room(log).await;
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
        if inner.is_some_and(|inner| inner.is::<Severed>()) {
            return Trouble::Reset.at(place);
        }
        match self.coding {
            Some(coding) => Trouble::Coding(coding.name()).at(place),
            None => Trouble::of_connection(&error).at(place),
        }
    }
}

/// The pieces of a body as they come. Over HTTP/2, hyper takes a stream for ended that its server has reset
/// without an error, or as cancelled: half a body would be handed on as a whole one.
fn pieces(body: Incoming, version: Version) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let is_second = version == Version::HTTP_2;
    try_unfold(body, move |mut body| async move {
        while let Some(frame) = body.frame().await {
            // Trailers are nobody's.
            if let Ok(piece) = frame.map_err(io::Error::other)?.into_data() {
                return Ok(Some((piece, body)));
            }
        }
        match is_second && !body.is_end_stream() {
            true => Err(io::Error::other(Severed)),
            false => Ok(None),
        }
    })
}

/// The window that a body in Brotli says it needs in its first bits (RFC 7932, 9.1). The decoder would also
/// take what that leaves to extensions: windows of up to a GiB, for a few bytes.
fn brotli_window_log(first: u8) -> Result<u32, LargeWindow> {
    let (is_other, high, low) = (first & 1 == 1, first >> 1 & 7, first >> 4 & 7);
    match (is_other, high, low) {
        (false, ..) => Ok(16),
        (true, 0, 0) => Ok(17),
        (true, 0, 1) => Err(LargeWindow),
        (true, 0, low) => Ok(8 + u32::from(low)),
        (true, high, _) => Ok(17 + u32::from(high)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::FETCH_BROTLI_WINDOW_LOG_MAX;

    #[test]
    fn a_window_of_brotli_is_read_as_its_rfc_says() {
        // The patterns of RFC 7932, 9.1, the first bit lowest.
        for (first, log) in [
            (0b0, 16),
            (0b000_0001, 17),
            (0b0011, 18),
            (0b0101, 19),
            (0b1011, 22),
            (0b1111, 24),
            (0b010_0001, 10),
            (0b111_0001, 15),
        ] {
            assert_eq!(brotli_window_log(first).ok(), Some(log), "{first:b}");
        }
        for first in 0..=u8::MAX {
            match brotli_window_log(first) {
                Ok(log) => assert!(log <= FETCH_BROTLI_WINDOW_LOG_MAX),
                Err(LargeWindow) => assert_eq!(first & 0x7f, 0x11),
            }
        }
    }
}
