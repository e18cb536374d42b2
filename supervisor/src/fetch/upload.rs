//! The body of a request on its way from the worker to the connection, one piece at a time.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use mcp_v8_protocol::fetch::ReplyStep;
use tokio::sync::{mpsc, oneshot};
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

/// Asks the worker for a piece whenever the connection has room for one. `asked` says when there is a
/// connection to be, and where pieces go.
pub(super) async fn pump(
    asked: oneshot::Receiver<mpsc::Sender<Piece>>,
    mut pieces: mpsc::Receiver<Piece>,
    length: Option<u64>,
    words: &Words,
    budget: &Budget,
) -> Result<(), Failure> {
    let Ok(taker) = asked.await else {
        return Ok(());
    };
    let mut sent: u64 = 0;
    // When nobody reads any more, the answer does not depend on the rest.
    while let Ok(room) = taker.reserve().await {
        words.say(ReplyStep::More).await;
        let Some(piece) = pieces.recv().await else {
            return Ok(());
        };
        let is_end = matches!(piece, Piece::End);
        if let Piece::Bytes(bytes) = &piece {
            sent += bytes.len() as u64;
            budget.send(bytes.len())?;
        }
        if let Some(announced) = length
            && (sent > announced || is_end && sent < announced)
        {
            return Err(Failure::BodyLength { announced, sent });
        }
        room.send(piece);
        if is_end {
            break;
        }
    }
    Ok(())
}
