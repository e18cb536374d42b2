//! Requests over HTTP that a script makes, and that its supervisor makes for it.
//!
//! ```text
//! worker                                  supervisor
//!   Open ───────────────────────────────▶  policy, injection, connection
//!   Send*, as often as it was asked ────▶  ◀── More* (one for each piece of body that has room)
//!   SendEnd ────────────────────────────▶  ◀── Again (a redirect: the whole body once more)
//!                                          ◀── Opened, or Failed (the last word)
//!   Pull* (room for one piece) ─────────▶  ◀── Data* (at most one for each Pull), End or Failed
//!   Abort (the last word) ──────────────▶
//! ```
//!
//! Neither side sends a byte of a body that the other has not asked for, so that a body of any length
//! passes through a small heap. Exchanges have numbers that the worker gives, each used once. What
//! comes for an exchange that its worker has aborted meanwhile is dropped.

use bincode::de::Decoder;
use bincode::error::DecodeError;
use bincode::{Decode, Encode};

use crate::limits::HEADERS_MAX;

/// The number of an exchange; the worker counts from 0.
pub type ExchangeId = u32;

/// What a worker says about one exchange.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct FetchCall {
    /// Which.
    pub exchange: ExchangeId,
    /// What.
    pub step: CallStep,
}

/// The steps of a worker.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum CallStep {
    /// Begins an exchange.
    Open(Request),
    /// A piece of the request's body, after a [`ReplyStep::More`]: 1 to
    /// [`crate::limits::BODY_CHUNK_BYTES_MAX`].
    Send(Vec<u8>),
    /// The request's body has ended.
    SendEnd,
    /// There is room for one more piece of the response's body, or for its end.
    Pull,
    /// Nobody waits any more: the last word of an exchange.
    Abort,
}

/// A request as the script made it.
#[derive(Debug, Clone, PartialEq, Eq, Encode)]
pub struct Request {
    /// As in HTTP, in upper case where the Fetch standard has it so.
    pub method: String,
    /// Absolute, without a fragment; at most [`crate::limits::URL_BYTES_MAX`].
    pub url: String,
    /// Names and values in the script's order. Values are bytes, one a character as in the Fetch
    /// standard. All of them together are at most [`crate::limits::HEADERS_BYTES_MAX`].
    pub headers: Vec<Header>,
    /// What becomes of a redirect.
    pub redirect: Redirect,
    /// What follows.
    pub body: RequestBody,
}

/// A header line.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Header {
    /// The name.
    pub name: String,
    /// The value.
    pub value: Vec<u8>,
}

/// What becomes of a redirect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Redirect {
    /// It is followed, each hop after policy again.
    Follow,
    /// It is the response.
    Manual,
    /// It fails the exchange.
    Error,
}

/// What body a request has.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum RequestBody {
    /// None.
    None,
    /// All of it, at most [`crate::limits::BODY_CHUNK_BYTES_MAX`]: it can be sent again to where a
    /// redirect leads.
    Whole(Vec<u8>),
    /// Pieces that follow, of this length together where it is known. Of a known length, they can be
    /// sent again to where a redirect leads ([`ReplyStep::Again`]); without, such a redirect fails the
    /// exchange.
    Stream {
        /// The length, in bytes.
        length: Option<u64>,
    },
}

/// What the supervisor says about one exchange.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct FetchReply {
    /// Which.
    pub exchange: ExchangeId,
    /// What.
    pub step: ReplyStep,
}

/// The steps of the supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum ReplyStep {
    /// There is room for one more piece of the request's body, or for its end.
    More,
    /// The head of the response.
    Opened(Response),
    /// A piece of the response's body: 1 to [`crate::limits::BODY_CHUNK_BYTES_MAX`].
    Data(Vec<u8>),
    /// The response's body has ended: the last word of an exchange.
    End,
    /// The exchange failed: the last word of it. The script's promise or stream rejects with a
    /// `TypeError` of this text, at most [`crate::limits::FETCH_ERROR_BYTES_MAX`].
    Failed(String),
    /// The body of the request is to begin anew, where its length is known. Every piece that was asked
    /// for has come before that, so that none of before is taken for one of after.
    Again,
}

/// The head of a response.
#[derive(Debug, Clone, PartialEq, Eq, Encode)]
pub struct Response {
    /// 200 to 599.
    pub status: u16,
    /// The reason phrase; bytes of HTTP/1.1, often empty.
    pub status_text: String,
    /// As they came, each line of its own, decoded bodies without their `content-encoding` and
    /// `content-length`. All of them together are at most [`crate::limits::HEADERS_BYTES_MAX`].
    pub headers: Vec<Header>,
    /// Where it came from, after redirects.
    pub url: String,
    /// Whether a redirect was followed.
    pub is_redirected: bool,
}

bincode::impl_borrow_decode!(Request);
bincode::impl_borrow_decode!(Response);

impl<C> Decode<C> for Request {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Ok(Self {
            method: Decode::decode(decoder)?,
            url: Decode::decode(decoder)?,
            headers: decode_headers(decoder)?,
            redirect: Decode::decode(decoder)?,
            body: Decode::decode(decoder)?,
        })
    }
}

impl<C> Decode<C> for Response {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Ok(Self {
            status: Decode::decode(decoder)?,
            status_text: Decode::decode(decoder)?,
            headers: decode_headers(decoder)?,
            url: Decode::decode(decoder)?,
            is_redirected: Decode::decode(decoder)?,
        })
    }
}

/// Reads header lines, and makes room for them as they come.
///
/// bincode makes room for as many as the count claims, and counts what they take in memory against its
/// limit, which is three times what a short line takes in a frame: short lines would be refused, and a
/// lie would cost memory.
fn decode_headers<D: Decoder>(decoder: &mut D) -> Result<Vec<Header>, DecodeError> {
    let count = u64::decode(decoder)?;
    if count > HEADERS_MAX as u64 {
        return Err(DecodeError::ArrayLengthMismatch {
            required: HEADERS_MAX,
            found: usize::try_from(count).unwrap_or(usize::MAX),
        });
    }
    let mut headers = Vec::new();
    for _ in 0..count {
        headers.push(Header::decode(decoder)?);
    }
    Ok(headers)
}
