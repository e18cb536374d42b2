//! Before the routes: who asks, and the whole body of what it asks. And behind them: the signature of the
//! answer.

use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Limited};
use sha2::{Digest as _, Sha256};
use tokio::time::timeout;

use super::{HEALTH, Refusal, STATUS, answer_bytes_max, body_bytes_max};
use crate::cluster::desk::Desk;
use crate::cluster::local::now_secs;
use crate::cluster::room::{Part, Whose};
use crate::cluster::seats::Seat;
use crate::cluster::trust::Credentials;
use crate::cluster::trust::door::Guest;
use crate::cluster::trust::head;
use crate::cluster::trust::tls::Names;
use crate::inbound::Held;
use crate::limits::PEER_BODY_WAIT_MAX;

/// Lets in whoever may ask.
pub(super) async fn pass(State(desk): State<Arc<Desk>>, request: Request, next: Next) -> Response {
    if is_open(&desk, &request) {
        let (parts, _) = request.into_parts();
        return next.run(Request::from_parts(parts, Body::empty())).await;
    }
    let (mut parts, body) = request.into_parts();
    let names = parts.extensions.get::<Names>();
    let admitted = desk
        .door
        .admit(&desk.local.credentials, (&parts, names), now_secs());
    let guest = match admitted {
        Ok(guest) => guest,
        Err(stranger) => {
            desk.figures.strangers.inc();
            return last(Refusal::from(stranger).into_response());
        }
    };
    if let (Some(seat), Some(from)) = (parts.extensions.get::<Seat>(), &guest.claims.from) {
        seat.belongs_to(&from.name);
    }
    let path = parts.uri.path();
    let (most, answer_most) = (body_bytes_max(path), answer_bytes_max(path));
    let whose = guest.claims.from.as_ref().map(|from| from.name.clone());
    let response = match take(&desk, body, (&whose, most, guest.body)).await {
        Ok(body) => {
            parts.extensions.insert(guest.clone());
            let request = Request::from_parts(parts, Body::from(body.bytes.clone()));
            next.run(request).await
        }
        Err(refusal) => last(refusal.into_response()),
    };
    let (response, part) = with_room(&desk, whose, response);
    let response = sign(&desk, &guest, (response, answer_most)).await;
    response.map(|body| Body::new(Held::new(body, part)))
}

/// An answer and its part of the room, which it holds until its asker has taken it. Where there is none, the
/// asker is told that: it may ask again.
fn with_room(desk: &Desk, whose: Whose, response: Response) -> (Response, Option<Part>) {
    let bytes = response.body().size_hint().exact();
    let bytes = bytes.map_or(usize::MAX, |bytes| {
        usize::try_from(bytes).unwrap_or(usize::MAX)
    });
    match desk.rooms.answer(whose, bytes) {
        Some(part) => (response, Some(part)),
        None => (Refusal::NoRoom.into_response(), None),
    }
}

/// What everybody may ask: it says nothing, or the operator wants it said.
fn is_open(desk: &Desk, request: &Request) -> bool {
    let is_asked = request.method() == Method::GET;
    match request.uri().path() {
        HEALTH => is_asked,
        STATUS => is_asked && desk.is_status_public,
        _ => false,
    }
}

/// A body, and its part of the room.
struct Taken {
    bytes: Bytes,
    _room: Part,
}

async fn take(
    desk: &Desk,
    body: Body,
    (whose, most, sha256): (&Whose, usize, Option<[u8; 32]>),
) -> Result<Taken, Refusal> {
    let announced = body.size_hint().exact().ok_or(Refusal::NoLength)?;
    let length = usize::try_from(announced)
        .ok()
        .filter(|length| *length <= most);
    let length = length.ok_or(Refusal::TooLong(most))?;
    let room = desk.rooms.body(whose.clone(), length);
    let room = room.ok_or(Refusal::NoRoom)?;
    let read = timeout(PEER_BODY_WAIT_MAX, Limited::new(body, most).collect()).await;
    let read = read.map_err(|_| Refusal::TooSlow)?;
    let bytes = read.map_err(|_| Refusal::CutOff)?.to_bytes();
    if sha256.is_some_and(|sha256| sha256 != <[u8; 32]>::from(Sha256::digest(&bytes))) {
        return Err(Refusal::OtherBody);
    }
    Ok(Taken { bytes, _room: room })
}

/// What is left of the request is not read.
fn last(mut response: Response) -> Response {
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
    response
}

/// Shows whoever has asked who answers.
async fn sign(desk: &Desk, guest: &Guest, (response, most): (Response, usize)) -> Response {
    let (Credentials::Secret(secret), Some(asked)) = (&desk.local.credentials, guest.signature)
    else {
        return response;
    };
    let (mut parts, body) = response.into_parts();
    let Ok(body) = to_bytes(body, most).await else {
        return Refusal::Ending.into_response();
    };
    let signature = secret.sign_answer(&asked, parts.status.as_u16(), &body);
    head::put_signature(&mut parts.headers, &signature);
    Response::from_parts(parts, Body::from(body))
}
