//! Connections of HTTP/2, on which what carries nothing is counted.
//!
//! A server may send as many frames as it likes that are no part of a body: pings, settings, early hints, what
//! nobody knows. Each costs it some bytes, and this process far more: it is read, answered, or kept until somebody
//! looks at it. A connection that brings more of them than any good server does is broken, whoever still waits.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper_rustls::MaybeHttpsStream;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::connect::Wire;
use crate::limits::FETCH_HTTP2_IDLE_FRAMES_MAX;

/// The time for which frames are counted together.
const COUNTED_FOR: Duration = Duration::from_secs(1);
/// So many bytes of a frame count as much as one more.
const BYTES_OF_ONE: usize = 1 << 10;
/// The kind of frames that a body comes in.
const DATA: u8 = 0;
const HEADER_BYTES: usize = 9;

/// What there is once TLS, if any, is agreed on.
type Secured = MaybeHttpsStream<TokioIo<Wire>>;

/// A connection, and what has come over it if it speaks HTTP/2.
#[derive(Debug)]
pub(super) struct Watched {
    stream: TokioIo<Secured>,
    frames: Option<Frames>,
}

/// The server sends more frames without content than there is use for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server floods the connection with frames that carry nothing")]
pub(super) struct Flood;

/// Frames as they come.
#[derive(Debug)]
struct Frames {
    header: [u8; HEADER_BYTES],
    /// Bytes of the header that are there.
    known: usize,
    /// Bytes of the payload that are yet to come.
    left: usize,
    /// What has come since then that carried nothing.
    idle: usize,
    since: Instant,
}

impl Watched {
    pub(super) fn over(stream: Secured) -> TokioIo<Self> {
        let is_second = stream.connected().is_negotiated_h2();
        TokioIo::new(Self {
            stream: TokioIo::new(stream),
            frames: is_second.then(Frames::new),
        })
    }
}

impl Frames {
    fn new() -> Self {
        Self {
            header: [0; HEADER_BYTES],
            known: 0,
            left: 0,
            idle: 0,
            since: Instant::now(),
        }
    }

    /// Takes what has come, wherever frames begin in it.
    fn take(&mut self, mut bytes: &[u8]) -> Result<(), Flood> {
        while !bytes.is_empty() {
            if self.left > 0 {
                let now = self.left.min(bytes.len());
                self.left -= now;
                bytes = bytes.get(now..).unwrap_or_default();
                continue;
            }
            let room = self.header.get_mut(self.known..).unwrap_or_default();
            for (place, byte) in room.iter_mut().zip(bytes) {
                *place = *byte;
            }
            let now = room.len().min(bytes.len());
            self.known += now;
            bytes = bytes.get(now..).unwrap_or_default();
            if self.known == HEADER_BYTES {
                self.known = 0;
                self.begin()?;
            }
        }
        Ok(())
    }

    /// A frame begins whose header is there.
    fn begin(&mut self) -> Result<(), Flood> {
        let [high, middle, low, kind, ..] = self.header;
        self.left = u32::from_be_bytes([0, high, middle, low]) as usize;
        if kind == DATA && self.left > 0 {
            return Ok(());
        }
        if self.since.elapsed() >= COUNTED_FOR {
            self.since = Instant::now();
            self.idle = 0;
        }
        self.idle += 1 + self.left / BYTES_OF_ONE;
        match self.idle > FETCH_HTTP2_IDLE_FRAMES_MAX {
            true => Err(Flood),
            false => Ok(()),
        }
    }
}

impl Connection for Watched {
    fn connected(&self) -> Connected {
        self.stream.inner().connected()
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = room.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, room))?;
        let came = room.filled().get(before..).unwrap_or_default();
        if let Some(frames) = &mut self.frames {
            frames.take(came).map_err(io::Error::other)?;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PING: u8 = 6;

    fn frame(kind: u8, length: usize) -> Vec<u8> {
        let bytes = u32::try_from(length).unwrap().to_be_bytes();
        let header = [bytes[1], bytes[2], bytes[3], kind, 0, 0, 0, 0, 0];
        // Payloads look like headers of pings, and are none.
        let payload = [0, 0, 8, PING, 0].into_iter().cycle().take(length);
        header.into_iter().chain(payload).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_frames_a_second_are_taken_and_no_more() {
        let ping = frame(PING, 8);
        let mut frames = Frames::new();
        for _ in 0..3 {
            let most = ping.repeat(FETCH_HTTP2_IDLE_FRAMES_MAX);
            assert_eq!(frames.take(&most), Ok(()));
            // Bodies count for nothing, however small their pieces are.
            assert_eq!(frames.take(&frame(DATA, 1).repeat(50_000)), Ok(()));
            tokio::time::advance(COUNTED_FOR).await;
        }
        let most = ping.repeat(FETCH_HTTP2_IDLE_FRAMES_MAX);
        assert_eq!(frames.take(&most), Ok(()));
        assert_eq!(frames.take(&frame(DATA, 0)), Err(Flood));
    }

    #[tokio::test(start_paused = true)]
    async fn large_frames_count_for_more() {
        let mut frames = Frames::new();
        let large = frame(0xfa, 16 << 10);
        let taken = (0..).take_while(|_| frames.take(&large).is_ok()).count();
        assert_eq!(taken, FETCH_HTTP2_IDLE_FRAMES_MAX / 17);
    }

    proptest! {
        #[test]
        fn it_makes_no_difference_where_bytes_are_cut(
            lengths in prop::collection::vec((0..12_u8, 0..3000_usize), 1..40),
            cuts in prop::collection::vec(1..2000_usize, 1..40),
        ) {
            let whole: Vec<u8> = lengths.iter().flat_map(|(kind, n)| frame(*kind, *n)).collect();
            let mut at_once = Frames::new();
            prop_assert_eq!(at_once.take(&whole), Ok(()));
            let idle = lengths.iter().filter(|(kind, length)| *kind != DATA || *length == 0);
            let expected: usize = idle.map(|(_, length)| 1 + length / BYTES_OF_ONE).sum();
            prop_assert_eq!(at_once.idle, expected);
            let mut by_parts = Frames::new();
            let mut rest = &whole[..];
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (part, behind) = rest.split_at((*cut).min(rest.len()));
                prop_assert_eq!(by_parts.take(part), Ok(()));
                rest = behind;
            }
            prop_assert_eq!(by_parts.idle, expected);
            prop_assert_eq!((by_parts.known, by_parts.left), (0, 0));
        }
    }
}
