//! Bodies of requests: each is taken whole, within a size, a time and what all of them may take together,
//! as they come and as JSON in memory, before anything else looks at the request.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use axum::response::{IntoResponse as _, Response};
use bytes::BytesMut;
use http_body::Body as _;
use http_body_util::BodyExt as _;
use tokio::time::timeout;

use super::error::HttpError;
use super::error_code::ErrorCode;
use super::refusal::Refusal;
use crate::auth::Caller;
use crate::limits;
use crate::quota::{Crowd, Member, NoPlace, Sharing};
use crate::tenant::Tenant;

/// What the bodies that are in hand may still take, in bytes that tenants share.
#[derive(Debug, Clone)]
pub(super) struct Bodies {
    room: Crowd,
    /// What says that it is small has a room of its own: few large ones cannot keep it out.
    small: Crowd,
}

/// A body, and its part of the room.
struct Taken {
    bytes: Bytes,
    room: Option<Member>,
}

impl Bodies {
    pub(super) fn new(sharing: Sharing) -> Self {
        Self {
            room: Crowd::new(limits::HTTP_BODIES_BYTES_MAX, sharing),
            small: Crowd::new(limits::HTTP_SMALL_BODIES_BYTES_MAX, sharing),
        }
    }

    async fn take(&self, tenant: &Tenant, mut body: Body) -> Result<Taken, Refusal> {
        let hint = body.size_hint();
        let announced = hint.lower();
        let is_small = hint
            .upper()
            .is_some_and(|most| most <= limits::HTTP_SMALL_BODY_BYTES as u64);
        let rooms = if is_small { &self.small } else { &self.room };
        if announced > limits::HTTP_BODY_BYTES_MAX as u64 {
            return Err(TOO_LARGE);
        }
        let mut bytes = BytesMut::new();
        let mut room: Option<Member> = None;
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| CUT_OFF)?.into_data() else {
                continue;
            };
            if bytes.len() + data.len() > limits::HTTP_BODY_BYTES_MAX {
                return Err(TOO_LARGE);
            }
            match &mut room {
                Some(room) => room.grow(data.len()).map_err(no_room)?,
                None => room = Some(rooms.enter_with(tenant, data.len()).map_err(no_room)?),
            }
            bytes.extend_from_slice(&data);
        }
        if let Some(room) = &mut room {
            let parsed = parsed_bytes(&bytes);
            if bytes.len() + parsed > limits::HTTP_BODY_IN_MEMORY_BYTES_MAX {
                return Err(TOO_MANY_VALUES);
            }
            room.grow(parsed).map_err(no_room)?;
        }
        Ok(Taken {
            bytes: bytes.freeze(),
            room,
        })
    }
}

/// What a text takes in memory beside itself, once it is read as JSON. Values are counted by what begins
/// them or stands between them outside of strings: no fewer than there are, whatever the text is.
fn parsed_bytes(text: &[u8]) -> usize {
    let mut values = 0;
    let mut is_in_string = false;
    let mut is_escaped = false;
    for byte in text {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_in_string => is_escaped = true,
            b'"' => is_in_string = !is_in_string,
            b',' | b':' | b'[' | b'{' if !is_in_string => values += 1,
            _ => {}
        }
    }
    values * limits::JSON_VALUE_BYTES
}

fn no_room(no_place: NoPlace) -> Refusal {
    match no_place {
        NoPlace::Full => NO_ROOM,
        NoPlace::Share => OWN_BODIES,
    }
}

/// A request's part of the room. It travels with the request, also where that is worked on after it has
/// been answered.
#[derive(Debug, Clone)]
struct InHand {
    _room: Arc<Member>,
}

/// Takes the body of a request, and passes the request on with it.
pub(super) async fn take<F>(
    bodies: &Bodies,
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response
where
    F: Future<Output = Response>,
{
    let (mut parts, body) = request.into_parts();
    let Some(caller) = parts.extensions.get::<Caller>() else {
        return HttpError::NobodyCalls.into_response();
    };
    let taken = bodies.take(caller.tenant(), body);
    let taken = timeout(limits::HTTP_BODY_WAIT_MAX, taken).await;
    match taken.unwrap_or(Err(TOO_SLOW)) {
        Ok(taken) => {
            if let Some(room) = taken.room {
                let _room = Arc::new(room);
                parts.extensions.insert(InHand { _room });
            }
            let body = Body::from(taken.bytes);
            next(Request::from_parts(parts, body)).await
        }
        Err(refusal) => {
            let mut response = refusal.response();
            // What is left of the body is not read.
            let headers = response.headers_mut();
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
            response
        }
    }
}

const TOO_LARGE: Refusal = Refusal {
    code: ErrorCode::BodyTooLarge,
    message: "the body of a request has 4194304 bytes at most",
};

const TOO_MANY_VALUES: Refusal = Refusal {
    code: ErrorCode::BodyTooLarge,
    message: "the body of a request has more JSON values than any argument needs",
};

const TOO_SLOW: Refusal = Refusal {
    code: ErrorCode::BodyTooSlow,
    message: "the body of the request did not come within 30 seconds",
};

const CUT_OFF: Refusal = Refusal {
    code: ErrorCode::BodyCutOff,
    message: "the body of the request is malformed, or ended early",
};

const NO_ROOM: Refusal = Refusal {
    code: ErrorCode::Full,
    message: "the server has as many large requests in hand as it allows; nothing was accepted, try \
              again in a moment",
};

const OWN_BODIES: Refusal = Refusal {
    code: ErrorCode::TenantFull,
    message: "the caller has as much of large requests in hand as it may: what is left is for others; \
              nothing was accepted, try again in a moment",
};

#[cfg(test)]
mod tests {
    use super::*;

    fn bodies() -> Bodies {
        Bodies::new(Sharing::Alone)
    }

    impl Bodies {
        async fn of_one(&self, body: Body) -> Result<Taken, Refusal> {
            self.take(&Tenant::local(), body).await
        }

        /// Whether nothing of either room is taken.
        fn is_untouched(&self) -> bool {
            let rooms = [
                (&self.room, limits::HTTP_BODIES_BYTES_MAX),
                (&self.small, limits::HTTP_SMALL_BODIES_BYTES_MAX),
            ];
            let all = |(room, most): (&Crowd, usize)| room.enter_with(&Tenant::local(), most);
            rooms.into_iter().all(|room| all(room).is_ok())
        }
    }

    #[test]
    fn the_texts_are_those_of_the_limits() {
        let bytes = limits::HTTP_BODY_BYTES_MAX.to_string();
        assert!(TOO_LARGE.message.contains(&bytes));
        let secs = format!("{} seconds", limits::HTTP_BODY_WAIT_MAX.as_secs());
        assert!(TOO_SLOW.message.contains(&secs));
    }

    #[tokio::test]
    async fn a_body_of_the_largest_size_is_taken_and_no_larger_one() {
        let bodies = bodies();
        let largest = vec![b'x'; limits::HTTP_BODY_BYTES_MAX];
        let taken = bodies.of_one(Body::from(largest.clone())).await;
        assert_eq!(
            taken.ok().map(|taken| taken.bytes.len()),
            Some(largest.len())
        );
        let larger = [largest, vec![b'x']].concat();
        let refused = bodies.of_one(Body::from(larger)).await;
        assert_eq!(refused.err(), Some(TOO_LARGE));
        assert!(bodies.is_untouched());
    }

    #[test]
    fn what_json_takes_in_memory_is_foreseen() {
        let each = limits::JSON_VALUE_BYTES;
        for (text, values) in [
            ("", 0),
            ("{}", 1),
            (r#"{"code": "a, [b], {c: d}"}"#, 2),
            (r#"{"a": "\\", "b": "\"[[["}"#, 4),
            ("[[],[],[]]", 6),
            ("[1,2,3]", 3),
            (r#""unfinished [[["#, 0),
        ] {
            assert_eq!(parsed_bytes(text.as_bytes()), values * each, "{text}");
        }
    }

    #[tokio::test]
    async fn a_body_of_many_values_takes_the_room_that_they_take() {
        let bodies = bodies();
        let many = |bytes: usize| Body::from(vec![b'['; bytes]);
        let most = limits::HTTP_BODY_IN_MEMORY_BYTES_MAX / (limits::JSON_VALUE_BYTES + 1);
        let taken = [many(most), many(most)].map(|body| bodies.of_one(body));
        let taken = futures_util::future::join_all(taken).await;
        assert!(taken.iter().all(Result::is_ok));
        let refused = bodies.of_one(many(limits::HTTP_SMALL_BODY_BYTES + 1)).await;
        assert_eq!(refused.err(), Some(NO_ROOM));
        drop(taken);
        let refused = bodies.of_one(many(most + 1)).await;
        assert_eq!(refused.err(), Some(TOO_MANY_VALUES));
        assert!(bodies.is_untouched());
    }

    #[tokio::test]
    async fn all_bodies_together_have_a_bound() {
        let bodies = bodies();
        let whole = limits::HTTP_BODIES_BYTES_MAX;
        let large = || Body::from(vec![b'x'; limits::HTTP_SMALL_BODY_BYTES + 1]);
        let held = bodies.room.enter_with(&Tenant::local(), whole - 1).unwrap();
        assert_eq!(bodies.of_one(large()).await.err(), Some(NO_ROOM));
        // Small ones still come through.
        let held_small = bodies.of_one(Body::from("x")).await.ok();
        assert!(held_small.is_some());
        let whole = limits::HTTP_SMALL_BODIES_BYTES_MAX;
        let more = bodies.small.enter_with(&Tenant::local(), whole);
        assert!(more.is_err());
        drop((held, held_small));
        assert!(bodies.is_untouched());
        assert!(bodies.of_one(large()).await.is_ok());
    }

    #[tokio::test]
    async fn a_flood_of_large_bodies_leaves_room_for_those_of_others() {
        let bodies = Bodies::new(Sharing::Tenants);
        let [flood, quiet] = ["flood", "quiet"].map(|name| name.parse().unwrap());
        let largest = || Body::from(vec![b'x'; limits::HTTP_BODY_BYTES_MAX]);
        let mut held = Vec::new();
        let refused = loop {
            match bodies.take(&flood, largest()).await {
                Ok(taken) => held.push(taken),
                Err(refusal) => break refusal,
            }
        };
        assert_eq!(refused, OWN_BODIES);
        let half = limits::HTTP_BODIES_BYTES_MAX / limits::HTTP_BODY_BYTES_MAX / 2;
        assert_eq!(held.len(), half);
        assert!(bodies.take(&quiet, largest()).await.is_ok());
        // The largest that is taken at all is not too large for who has nothing.
        let most = limits::HTTP_BODY_IN_MEMORY_BYTES_MAX / (limits::JSON_VALUE_BYTES + 1);
        drop(held);
        let most = Body::from(vec![b'['; most]);
        assert!(bodies.take(&quiet, most).await.is_ok());
    }
}
