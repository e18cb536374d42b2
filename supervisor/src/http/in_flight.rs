//! How many requests are answered at once, and how much of their answers is in hand.

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use http_body::Body as _;

use super::error::HttpError;
use super::error_code::ErrorCode;
use super::refusal::Refusal;
use crate::auth::Caller;
use crate::inbound::Held;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> Tenant {
        name.parse().unwrap()
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
