//! The body of a request on its way from the worker to the connection, one piece at a time.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use mcp_v8_protocol::fetch::ReplyStep;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::budget::Budget;
use super::failure::Failure;
use super::words::Words;

/// What the worker sends of a body.
#[derive(Debug)]
pub(super) enum Piece {
    Bytes(Bytes),
    End,
}

/// The body of one request, as the connection reads it.
#[derive(Debug)]
pub(super) enum Upload {
    /// The rest of what was there at once.
    Whole(Option<Bytes>),
    /// What is yet to come.
    Stream {
        pieces: mpsc::Receiver<Piece>,
        length: Option<u64>,
        moved: Moved,
        is_over: bool,
    },
}

/// The worker gave a body up: what was sent of it is not to be taken for all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the body of the request was cut off")]
pub(super) struct CutOff;

/// When the connection last took something.
#[derive(Debug, Clone)]
pub(super) struct Moved(Arc<Mutex<Instant>>);

impl Moved {
    pub(super) fn now() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    pub(super) fn at(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn again(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = CutOff;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutOff>>> {
        match self.get_mut() {
            Upload::Whole(rest) => Poll::Ready(rest.take().map(|all| Ok(Frame::data(all)))),
            Upload::Stream { is_over: true, .. } => Poll::Ready(None),
            Upload::Stream {
                pieces,
                moved,
                is_over,
                ..
            } => {
                let piece = ready!(pieces.poll_recv(context));
                moved.again();
                match piece {
                    Some(Piece::Bytes(bytes)) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
                    Some(Piece::End) => {
                        *is_over = true;
                        Poll::Ready(None)
                    }
                    None => Poll::Ready(Some(Err(CutOff))),
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Upload::Whole(rest) => rest.is_none(),
            Upload::Stream { is_over, .. } => *is_over,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Upload::Whole(None) => SizeHint::with_exact(0),
            Upload::Whole(Some(rest)) => SizeHint::with_exact(rest.len() as u64),
            // The connection asks before it takes anything.
            Upload::Stream { length, .. } => {
                length.map_or_else(SizeHint::new, SizeHint::with_exact)
            }
        }
    }
}

/// Asks the worker for a piece whenever a connection has room for one. After a redirect, all of them go
/// again to the next.
pub(super) struct Pump<'a> {
    /// Where pieces go: to one connection after the other.
    pub(super) takers: mpsc::Receiver<mpsc::Sender<Piece>>,
    /// What the worker sends.
    pub(super) pieces: mpsc::Receiver<Piece>,
    /// What it has announced.
    pub(super) length: Option<u64>,
    pub(super) words: &'a Words,
    pub(super) budget: &'a Budget,
}

/// How the sending to one connection ended.
enum Poured {
    /// It takes nothing more.
    Done,
    /// Another is to have the body, from its beginning.
    Interrupted(mpsc::Sender<Piece>),
}

impl Pump<'_> {
    /// Goes on until no connection will want the body.
    pub(super) async fn run(mut self) -> Result<(), Failure> {
        let mut next = self.takers.recv().await;
        while let Some(taker) = next {
            next = match self.pour(taker).await? {
                Poured::Interrupted(other) => Some(other),
                Poured::Done => self.takers.recv().await,
            };
            if next.is_some() {
                self.words.say(ReplyStep::Again).await;
            }
        }
        Ok(())
    }

    /// What was asked for has always come before another connection has its turn.
    async fn pour(&mut self, taker: mpsc::Sender<Piece>) -> Result<Poured, Failure> {
        let mut sent: u64 = 0;
        loop {
            let room = tokio::select! {
                biased;
                Some(other) = self.takers.recv() => return Ok(Poured::Interrupted(other)),
                room = taker.reserve() => room,
            };
            // When nobody reads any more, the answer does not depend on the rest.
            let Ok(room) = room else {
                return Ok(Poured::Done);
            };
            self.words.say(ReplyStep::More).await;
            let Some(piece) = self.pieces.recv().await else {
                return Ok(Poured::Done);
            };
            let is_end = matches!(piece, Piece::End);
            if let Piece::Bytes(bytes) = &piece {
                sent += bytes.len() as u64;
                self.budget.send(bytes.len())?;
            }
            if let Some(announced) = self.length
                && (sent > announced || is_end && sent < announced)
            {
                return Err(Failure::BodyLength { announced, sent });
            }
            room.send(piece);
            if is_end {
                return Ok(Poured::Done);
            }
        }
    }
}
