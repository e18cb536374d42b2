//! One exchange from its request to its end: a task of its own.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;

use futures_util::FutureExt as _;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, HeaderMap, HeaderValue, RANGE,
    USER_AGENT,
};
use http::{Method, Request, Response, StatusCode};
use hyper::body::{Body as _, Incoming};
use mcp_v8_protocol::fetch::{Redirect, ReplyStep, Request as Wanted};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, timeout, timeout_at};
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use super::address::Reach;
use super::answer;
use super::budget::Budget;
use super::decode::{ACCEPTED, Coding, Content, Means};
use super::failure::{Failure, Trouble};
use super::leash::Hand;
use super::pools::{Lane, Share, Versions};
use super::redirect::{self, Hop};
use super::request::{self, Body};
use super::rules::Rules;
use super::upload::{Moved, Piece, Pump, Upload};
use super::words::Words;
use super::{Requester, Shared};
use crate::metrics::{Decision, Label as _};
use crate::outbound::AGENT;
use crate::policy::{Asked, Denied, Permit};
use crate::telemetry::TRACED;

/// What an exchange works with.
#[derive(Debug)]
pub(super) struct Transfer {
    pub(super) shared: Arc<Shared>,
    pub(super) share: Arc<Share>,
    pub(super) budget: Arc<Budget>,
    pub(super) requester: Requester,
    pub(super) words: Words,
    /// One for each piece that the worker has room for.
    pub(super) pulls: Arc<Semaphore>,
}

/// Where the body's pieces are to go, for each connection that is to take them.
type Takers = mpsc::Sender<mpsc::Sender<Piece>>;

impl Transfer {
    /// Goes on until the last word is said.
    pub(super) async fn run(self, wanted: Wanted, pieces: mpsc::Receiver<Piece>) {
        let _open = Open::new(&self.shared);
        let done = AssertUnwindSafe(self.exchange(wanted, pieces));
        let last = match done.catch_unwind().await {
            Ok(Ok(())) => ReplyStep::End,
            Ok(Err(failure)) => self.fail(&failure),
            Err(_panic) => self.fail(&Failure::Internal),
        };
        self.words.say(last).await;
    }

    fn fail(&self, failure: &Failure) -> ReplyStep {
        let kind = failure.kind();
        self.shared.figures.failures.of(kind).inc();
        Span::current().record("error.type", kind.name());
        ReplyStep::Failed(failure.text())
    }

    async fn exchange(&self, wanted: Wanted, pieces: mpsc::Receiver<Piece>) -> Result<(), Failure> {
        let requests_max = self.shared.bounds.requests;
        if self.words.exchange() >= requests_max {
            return Err(Failure::Requests(requests_max));
        }
        let _place = self.shared.pools.enter(&self.share)?;
        let checked = request::check(wanted)?;
        let mode = checked.redirect;
        let length = match checked.body {
            Body::Stream { length } => length,
            Body::None | Body::Whole(_) => None,
        };
        let first = Hop {
            method: checked.method,
            target: checked.target,
            headers: checked.headers,
            body: checked.body,
            followed: 0,
            is_downgraded: false,
        };
        let (takers, asked) = mpsc::channel(1);
        let pump = Pump {
            takers: asked,
            pieces,
            length,
            words: &self.words,
            budget: &self.budget,
        };
        let mut sending = pin!(pump.run());
        let mut whole = pin!(self.answer(first, mode, takers));
        tokio::select! {
            biased;
            sent = &mut sending => sent?,
            answered = &mut whole => return answered,
        }
        whole.await
    }

    /// Gets the response and hands it on.
    async fn answer(&self, mut hop: Hop, mode: Redirect, takers: Takers) -> Result<(), Failure> {
        let (response, hand) = loop {
            let (response, hand) = self.ask(&hop, &takers).await?;
            match redirect::after(&hop, mode, response.status(), response.headers())? {
                Some(next) => {
                    hop = next;
                    hand.let_go();
                }
                None => break (response, hand),
            }
        };
        drop(takers);
        let version = response.version();
        let (parts, body) = response.into_parts();
        let place = hop.target.place();
        let coding = match body.is_end_stream() || is_bodiless(&hop.method, parts.status) {
            true => None,
            false => Coding::of(&parts.headers),
        };
        let head = answer::head(parts, &hop, coding.is_some()).map_err(|why| why.at(place))?;
        self.words.say(ReplyStep::Opened(head)).await;
        let means = Means {
            version,
            coding,
            budget: Arc::clone(&self.budget),
            windows: self.share.windows(),
        };
        let content = Content::new(body, means);
        self.hand_on(content, place).await?;
        hand.let_go();
        Ok(())
    }

    /// Makes one request: policy, injection, connection.
    async fn ask(&self, hop: &Hop, takers: &Takers) -> Result<(Response<Incoming>, Hand), Failure> {
        self.budget.ask()?;
        let orders = self.shared.orders();
        let asked = Asked {
            tenant: self.requester.tenant.clone(),
            session: self.requester.session.clone(),
            method: hop.method.clone(),
            url: hop.target.url.clone(),
            headers: hop.headers.clone(),
        };
        self.requester.count(&asked).await?;
        let decided = self.decide(&orders.rules, &asked).await;
        let permit = self.requester.witness(&asked, decided).await?;
        let injected = match hop.is_downgraded {
            true => HeaderMap::new(),
            false => orders.rules.headers_for(&asked).await?,
        };
        let reach = match orders.allow_private || permit.private_addresses {
            true => Reach::Any,
            false => Reach::Public,
        };
        let moved = Moved::now();
        let upload = self.upload(&hop.body, takers, &moved).await?;
        let lane = Lane {
            reach,
            versions: Versions::of(&upload),
        };
        let mut request = Request::new(upload);
        *request.method_mut() = hop.method.clone();
        *request.uri_mut() = hop.target.uri.clone();
        *request.headers_mut() = headers(hop, &injected);
        let mut hand = Hand::on(&mut request);
        let client = self.shared.pools.client(&self.share, lane);
        let figures = &self.shared.figures;
        figures.requests.inc();
        let began = Instant::now();
        let sending = hand.lead(client.send(request));
        let trouble = match self.in_time(&moved, sending).await {
            Some(Ok(response)) => {
                figures.head_time.time(began.elapsed());
                // Only what the script did not give itself was sent.
                let is_ours = !hop.headers.contains_key(AUTHORIZATION);
                if response.status() == StatusCode::UNAUTHORIZED && is_ours {
                    orders.rules.refused(&asked, &injected);
                }
                return Ok((response, hand));
            }
            Some(Err(error)) => Trouble::of_sending(&error, self.shared.bounds.connect_wait),
            None => Trouble::HeadTimeout(self.shared.bounds.head_wait),
        };
        Err(trouble.at(hop.target.place()))
    }

    /// Asks the policies.
    async fn decide(&self, rules: &Arc<dyn Rules>, asked: &Asked) -> Result<Permit, Denied> {
        let began = Instant::now();
        let span = tracing::info_span!(target: TRACED, "policy", decision = Empty);
        let deciding = rules.decide(asked).instrument(span.clone());
        let decided = deciding.await;
        let decision = match &decided {
            Ok(_) => Decision::Allowed,
            Err(Denied::ByRule { .. }) => Decision::Denied,
            Err(Denied::Unanswered { .. }) => Decision::Failed,
        };
        let figures = &self.shared.figures;
        figures.decision_time.time(began.elapsed());
        figures.decisions.of(decision).inc();
        span.record("decision", decision.name());
        decided
    }

    async fn upload(&self, body: &Body, takers: &Takers, moved: &Moved) -> Result<Upload, Failure> {
        match body {
            Body::None => Ok(Upload::Whole(None)),
            Body::Whole(bytes) => {
                self.budget.send(bytes.len())?;
                self.shared.figures.sent_bytes.inc_by(bytes.len() as u64);
                Ok(Upload::Whole(
                    Some(bytes.clone()).filter(|all| !all.is_empty()),
                ))
            }
            Body::Stream { length } => {
                let (to, pieces) = mpsc::channel(1);
                // The other end is there as long as this exchange.
                let _ = takers.send(to).await;
                Ok(Upload::Stream {
                    pieces,
                    length: *length,
                    moved: moved.clone(),
                    is_over: false,
                })
            }
        }
    }

    /// Waits for an answer; `None` if it took too long, counted from when the server last took
    /// something.
    async fn in_time<T>(&self, moved: &Moved, answer: impl Future<Output = T>) -> Option<T> {
        let mut answer = pin!(answer);
        loop {
            let until = moved.at() + self.shared.bounds.head_wait;
            match timeout_at(until, &mut answer).await {
                Ok(answered) => return Some(answered),
                Err(_) if moved.at() + self.shared.bounds.head_wait > Instant::now() => {}
                Err(_) => return None,
            }
        }
    }

    /// Hands on a body, a piece for each pull.
    async fn hand_on(&self, mut content: Content, place: &str) -> Result<(), Failure> {
        let wait = self.shared.bounds.piece_wait;
        loop {
            match self.pulls.acquire().await {
                Ok(pull) => pull.forget(),
                Err(_) => return Err(Failure::Internal),
            }
            let piece = timeout(wait, content.piece(place)).await;
            let piece = piece.map_err(|_| Trouble::PieceTimeout(wait).at(place))??;
            let Some(piece) = piece else {
                return Ok(());
            };
            self.budget.decode(piece.len())?;
            let received = &self.shared.figures.received_bytes;
            received.inc_by(piece.len() as u64);
            self.words.say(ReplyStep::Data(piece)).await;
        }
    }
}

/// An exchange that is counted as long as it is under way.
struct Open(Arc<Shared>);

impl Open {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.figures.open.inc();
        Self(Arc::clone(shared))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.figures.open.dec();
    }
}

/// The script's own headers win over those injected, and both over ours.
fn headers(hop: &Hop, injected: &HeaderMap) -> HeaderMap {
    let mut headers = hop.headers.clone();
    for (name, value) in injected {
        if !hop.headers.contains_key(name) {
            headers.append(name, value.clone());
        }
    }
    // What is coded as a whole cannot be decoded in part.
    let accepted = match headers.contains_key(RANGE) {
        true => "identity",
        false => ACCEPTED,
    };
    for (name, value) in [
        (ACCEPT, HeaderValue::from_static("*/*")),
        (ACCEPT_ENCODING, HeaderValue::from_static(accepted)),
        (USER_AGENT, AGENT),
    ] {
        headers.entry(name).or_insert(value);
    }
    // As in the Fetch standard: servers want a length with these.
    let is_sent = hop.method == Method::POST || hop.method == Method::PUT;
    if is_sent && matches!(&hop.body, Body::None) {
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    headers
}

fn is_bodiless(method: &Method, status: StatusCode) -> bool {
    method == Method::HEAD
        || matches!(
            status,
            StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED
        )
}
