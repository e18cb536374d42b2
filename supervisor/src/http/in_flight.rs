//! How many requests are answered at once, and how much of their answers is in hand.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use http_body::{Body as _, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::HttpError;
use super::error_code::ErrorCode;
use super::refusal::Refusal;
use crate::auth::Caller;
use crate::limits;
use crate::quota::{Crowd, Member, Sharing};

/// What requests that are answered may take together. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Room {
    places: Crowd,
    answers: Arc<Semaphore>,
}

/// A request's part of it.
struct Part {
    _place: Member,
    _answer: Option<OwnedSemaphorePermit>,
}

impl Room {
    /// For so many requests at once.
    pub(super) fn new(places: usize, sharing: Sharing) -> Self {
        Self {
            places: Crowd::new(places, sharing),
            answers: Arc::new(Semaphore::new(limits::HTTP_ANSWERS_BYTES_MAX)),
        }
    }

    /// Room for an answer. What only looks can be asked again; what has done something is told.
    fn answer(
        &self,
        bytes: u64,
        only_looks: bool,
    ) -> Result<Option<OwnedSemaphorePermit>, Refusal> {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        match Arc::clone(&self.answers).try_acquire_many_owned(bytes) {
            Ok(room) => Ok(Some(room)),
            Err(_) if only_looks => Err(NO_ROOM),
            Err(_) => Ok(None),
        }
    }
}

/// Answers a request if there is room for it. Its part is held until the client has taken the answer,
/// but for the last piece.
pub(super) async fn limit<F>(
    room: &Room,
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response
where
    F: Future<Output = Response>,
{
    let Some(caller) = request.extensions().get::<Caller>() else {
        return HttpError::NobodyCalls.into_response();
    };
    let Some(place) = room.places.enter(caller.tenant()) else {
        return OVERLOADED.response();
    };
    let only_looks = request.method().is_safe();
    let response = next(request).await;
    let bytes = response.body().size_hint().exact().unwrap_or(0);
    match room.answer(bytes, only_looks) {
        Ok(answer) => response.map(|body| {
            Body::new(Held::new(
                body,
                Part {
                    _place: place,
                    _answer: answer,
                },
            ))
        }),
        Err(refusal) => refusal.response(),
    }
}

const OVERLOADED: Refusal = Refusal {
    code: ErrorCode::Full,
    message: "the server answers as many requests as it allows; nothing was accepted, try again in a \
              moment",
};

const NO_ROOM: Refusal = Refusal {
    code: ErrorCode::Full,
    message: "the server has as many large answers in hand as it allows; try again in a moment",
};

/// A body that holds something until it has gone. It goes in pieces, so that what is held is held while
/// the client takes its time.
#[derive(Debug)]
pub(super) struct Held<T> {
    body: Body,
    rest: Bytes,
    _held: T,
}

impl<T> Held<T> {
    /// This body, with what it holds.
    pub(super) fn new(body: Body, held: T) -> Self {
        Self {
            body,
            rest: Bytes::new(),
            _held: held,
        }
    }

    fn piece(&mut self, mut data: Bytes) -> Frame<Bytes> {
        self.rest = data.split_off(data.len().min(limits::HTTP_PIECE_BYTES));
        Frame::data(data)
    }
}

impl<T: Unpin> http_body::Body for Held<T> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let rest = std::mem::take(&mut self.rest);
        if !rest.is_empty() {
            return Poll::Ready(Some(Ok(self.piece(rest))));
        }
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(context));
        Poll::Ready(frame.map(|frame| {
            frame.map(|frame| match frame.into_data() {
                Ok(data) => self.piece(data),
                Err(trailers) => trailers,
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        let inner = self.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower() + rest);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn a_long_answer_goes_in_pieces_and_holds_its_part_until_the_last() {
        let semaphore = Arc::new(Semaphore::new(1));
        let held = Arc::clone(&semaphore).try_acquire_owned().unwrap();
        let long = vec![b'x'; 3 * limits::HTTP_PIECE_BYTES + 1];
        let mut body = Held::new(Body::from(long.clone()), held);
        let mut taken = Vec::new();
        while let Some(frame) = body.frame().await {
            let left = (long.len() - taken.len()) as u64;
            let data = frame.unwrap().into_data().unwrap();
            assert!(data.len() <= limits::HTTP_PIECE_BYTES);
            taken.extend_from_slice(&data);
            assert_eq!(body.size_hint().exact(), Some(left - data.len() as u64));
            assert_eq!(body.is_end_stream(), taken.len() == long.len());
            assert_eq!(semaphore.available_permits(), 0);
        }
        assert_eq!(taken, long);
        drop(body);
        assert_eq!(semaphore.available_permits(), 1);
    }

    #[test]
    fn answers_together_have_a_bound_that_what_only_looks_is_refused_at() {
        let room = Room::new(1, Sharing::Alone);
        let most = limits::HTTP_ANSWERS_BYTES_MAX as u64;
        let all = room.answer(most, true).unwrap();
        assert!(all.is_some());
        assert_eq!(room.answer(1, true).unwrap_err(), NO_ROOM);
        assert!(room.answer(1, false).unwrap().is_none());
        drop(all);
        assert!(room.answer(1, true).unwrap().is_some());
    }
}
