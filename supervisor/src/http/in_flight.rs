//! How many requests are answered at once, and how much of their answers is in hand.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use http_body::{Body as _, Frame, SizeHint};

use super::error::HttpError;
use super::error_code::ErrorCode;
use super::refusal::Refusal;
use crate::auth::Caller;
use crate::limits;
use crate::quota::{Crowd, Member, NoPlace, Sharing};
use crate::tenant::Tenant;

/// What requests that are answered may take together. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Room {
    places: Crowd,
    /// In bytes.
    answers: Crowd,
}

/// A request's part of it.
struct Part {
    _place: Member,
    _answer: Option<Member>,
}

impl Room {
    /// For so many requests at once.
    pub(super) fn new(places: usize, sharing: Sharing) -> Self {
        Self {
            places: Crowd::new(places, sharing),
            answers: Crowd::new(limits::HTTP_ANSWERS_BYTES_MAX, sharing),
        }
    }

    /// Room for an answer. What only looks can be asked again; what has done something is told.
    fn answer(
        &self,
        tenant: &Tenant,
        bytes: u64,
        only_looks: bool,
    ) -> Result<Option<Member>, Refusal> {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        match self.answers.enter_with(tenant, bytes) {
            Ok(room) => Ok(Some(room)),
            Err(NoPlace::Full) if only_looks => Err(NO_ROOM),
            Err(NoPlace::Share) if only_looks => Err(OWN_ANSWERS),
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
    let tenant = caller.tenant().clone();
    let place = match room.places.enter(&tenant) {
        Ok(place) => place,
        Err(NoPlace::Full) => return OVERLOADED.response(),
        Err(NoPlace::Share) => return OWN_REQUESTS.response(),
    };
    let only_looks = request.method().is_safe();
    let response = next(request).await;
    let bytes = response.body().size_hint().exact().unwrap_or(0);
    match room.answer(&tenant, bytes, only_looks) {
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

const OWN_REQUESTS: Refusal = Refusal {
    code: ErrorCode::TenantFull,
    message: "as many requests of the caller are answered as may be: what is left is for others; nothing \
              was accepted, try again in a moment",
};

const OWN_ANSWERS: Refusal = Refusal {
    code: ErrorCode::TenantFull,
    message: "the caller has as many large answers in hand as it may: take them, and try again",
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

    fn tenant(name: &str) -> Tenant {
        name.parse().unwrap()
    }

    #[tokio::test]
    async fn a_long_answer_goes_in_pieces_and_holds_its_part_until_the_last() {
        let crowd = Crowd::new(1, Sharing::Alone);
        let held = crowd.enter(&tenant("a")).unwrap();
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
            assert!(crowd.enter(&tenant("a")).is_err());
        }
        assert_eq!(taken, long);
        drop(body);
        assert!(crowd.enter(&tenant("a")).is_ok());
    }

    #[test]
    fn answers_together_have_a_bound_that_what_only_looks_is_refused_at() {
        let room = Room::new(1, Sharing::Alone);
        let most = limits::HTTP_ANSWERS_BYTES_MAX as u64;
        let one = tenant("a");
        let all = room.answer(&one, most, true).unwrap();
        assert!(all.is_some());
        assert_eq!(room.answer(&one, 1, true).unwrap_err(), NO_ROOM);
        assert!(room.answer(&one, 1, false).unwrap().is_none());
        drop(all);
        assert!(room.answer(&one, 1, true).unwrap().is_some());
    }

    #[test]
    fn a_tenant_that_takes_no_answers_keeps_those_of_others_from_nobody() {
        let room = Room::new(1, Sharing::Tenants);
        let half = limits::HTTP_ANSWERS_BYTES_MAX as u64 / 2;
        let untaken = room.answer(&tenant("flood"), half, true).unwrap();
        assert!(untaken.is_some());
        let more = room.answer(&tenant("flood"), 1 << 20, true);
        assert_eq!(more.unwrap_err(), OWN_ANSWERS);
        let quiet = room.answer(&tenant("quiet"), 1 << 20, true).unwrap();
        assert!(quiet.is_some());
    }
}
