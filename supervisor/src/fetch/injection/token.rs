//! Tokens by OAuth's client credentials (RFC 6749, section 4.4): asked for once, kept, and renewed
//! before they end.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::Value as Json;
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;
use url::{Url, form_urlencoded};

use super::rule::{RuleError, TokenOptions};
use super::value::{Environment, NotNow, Value};
use crate::limits;
use crate::upstream::{AskError, Bounds, Upstream};

const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What a server may give as its reason (RFC 6749, section 5.2). Anything else that it says is not shown.
const REASONS: [&str; 6] = [
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
];

/// Why there is no token. It may be shown to scripts: it holds nothing that was asked or answered, and
/// names no server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoToken {
    #[error("{0}")]
    Value(#[from] NotNow),
    #[error("the server that gives its token cannot be reached")]
    Unreachable,
    #[error("the server that gives its token did not answer in time")]
    Late,
    #[error("the server that gives its token refused with status {0}")]
    Refused(StatusCode),
    #[error("the server that gives its token refused: {0}")]
    Reason(&'static str),
    #[error("the server that gives its token answered without one that can be used")]
    Malformed,
}

/// The token of one rule.
#[derive(Debug)]
pub(super) struct TokenSource {
    client: Arc<Client>,
    kept: Arc<Mutex<Option<Token>>>,
    /// Who has it may ask; the last refusal is in it.
    flight: Arc<tokio::sync::Mutex<Option<Refusal>>>,
}

#[derive(Debug)]
struct Client {
    upstream: Upstream,
    url: Url,
    id: Value,
    secret: Value,
    scope: Option<String>,
}

#[derive(Debug, Clone)]
struct Token {
    /// Marked as sensitive, so that it is not shown.
    header: HeaderValue,
    asked_at: Instant,
    renewed_at: Instant,
    ends_at: Instant,
}

#[derive(Debug, Clone, Copy)]
struct Refusal {
    why: NoToken,
    until: Instant,
}

type Flight = OwnedMutexGuard<Option<Refusal>>;

impl TokenSource {
    pub(super) async fn open(
        options: TokenOptions,
        environment: Environment<'_>,
        upstream: Upstream,
    ) -> Result<Self, RuleError> {
        let problem = |field| move |problem| RuleError::Client { field, problem };
        let id = options.client_id.open(environment).await;
        let secret = options.client_secret.open(environment).await;
        Ok(Self {
            client: Arc::new(Client {
                upstream,
                url: options.url,
                id: id.map_err(problem("client_id"))?,
                secret: secret.map_err(problem("client_secret"))?,
                scope: options.scope,
            }),
            kept: Arc::default(),
            flight: Arc::default(),
        })
    }

    /// The value of `authorization`. While a token is good nobody waits for the next one; without one,
    /// all wait for the same.
    pub(super) async fn get(&self) -> Result<HeaderValue, NoToken> {
        if let Some(token) = self.good() {
            let is_due = Instant::now() >= token.renewed_at;
            if is_due && let Ok(flight) = Arc::clone(&self.flight).try_lock_owned() {
                let _goes_on_alone = self.ask(flight);
            }
            return Ok(token.header);
        }
        let flight = Arc::clone(&self.flight).lock_owned().await;
        if let Some(token) = self.good() {
            return Ok(token.header);
        }
        // It goes on when this future is dropped: those who wait get its answer.
        let asked = self.ask(flight).await;
        asked.unwrap_or(Err(NoToken::Unreachable))
    }

    /// Somebody was given this and does not believe it: the next request gets another token. One that is
    /// new is kept, so that who believes none does not have one asked for at each request.
    pub(super) fn refused(&self, header: &HeaderValue) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let is_that = kept.as_ref().is_some_and(|token| {
            let is_new = Instant::now() < token.asked_at + limits::TOKEN_NEW;
            token.header == header && !is_new
        });
        if is_that {
            *kept = None;
        }
    }

    /// The token, as long as it is good.
    fn good(&self) -> Option<Token> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let token = kept.as_ref()?;
        (Instant::now() < token.ends_at).then(|| token.clone())
    }

    fn ask(&self, mut flight: Flight) -> tokio::task::JoinHandle<Result<HeaderValue, NoToken>> {
        let client = Arc::clone(&self.client);
        let kept = Arc::clone(&self.kept);
        tokio::spawn(async move {
            if let Some(refusal) = *flight
                && Instant::now() < refusal.until
            {
                return Err(refusal.why);
            }
            match client.ask().await {
                Ok(token) => {
                    let header = token.header.clone();
                    *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(token);
                    *flight = None;
                    Ok(header)
                }
                Err(why) => {
                    let until = Instant::now() + limits::TOKEN_RETRY_PAUSE;
                    *flight = Some(Refusal { why, until });
                    tracing::warn!("no token of {}: {why}", client.url);
                    Err(why)
                }
            }
        })
    }
}

impl Client {
    async fn ask(&self) -> Result<Token, NoToken> {
        let asked_at = Instant::now();
        let (id, secret) = (self.id.get().await?, self.secret.get().await?);
        let pair = format!("{}:{}", encoded(id.text()), encoded(secret.text()));
        let who = format!("Basic {}", BASE64.encode(pair));
        let mut who = HeaderValue::from_str(&who).map_err(|_| NotNow::Unfit)?;
        who.set_sensitive(true);
        let headers = [(AUTHORIZATION, who), (CONTENT_TYPE, FORM), (ACCEPT, JSON)];
        let headers: HeaderMap = headers.into_iter().collect();
        let bounds = Bounds {
            time: limits::TOKEN_ANSWER_TIMEOUT,
            bytes: limits::TOKEN_ANSWER_BYTES_MAX,
        };
        let asked = self.upstream.post(&self.url, headers, self.form(), bounds);
        match asked.await {
            Ok((StatusCode::OK, body)) => token(&body, asked_at).ok_or(NoToken::Malformed),
            Ok((status, body)) => {
                Err(reason(&body).map_or(NoToken::Refused(status), NoToken::Reason))
            }
            Err(AskError::Late(_)) => Err(NoToken::Late),
            Err(AskError::TooLarge(_)) => Err(NoToken::Malformed),
            Err(AskError::Unreachable(_)) => Err(NoToken::Unreachable),
        }
    }

    fn form(&self) -> Bytes {
        let grant = "grant_type=client_credentials";
        match &self.scope {
            Some(scope) => format!("{grant}&scope={}", encoded(scope)).into(),
            None => grant.into(),
        }
    }
}

/// As a value in a form.
fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// Reads an answer. Its time counts from when it was asked for.
fn token(body: &[u8], asked_at: Instant) -> Option<Token> {
    let answer: Json = serde_json::from_slice(body).ok()?;
    let kind = answer.get("token_type")?.as_str()?;
    let text = answer.get("access_token")?.as_str()?;
    let is_bearer = kind.eq_ignore_ascii_case("bearer");
    if !is_bearer || text.is_empty() || text.contains(' ') {
        return None;
    }
    let lifetime = match answer.get("expires_in") {
        None => limits::TOKEN_LIFETIME_DEFAULT,
        // Some servers say it as a text.
        Some(Json::String(secs)) => Duration::from_secs(secs.parse().ok()?),
        Some(secs) => Duration::from_secs(secs.as_u64()?),
    };
    let lifetime = lifetime.min(limits::TOKEN_LIFETIME_MAX);
    let mut header = HeaderValue::from_str(&format!("Bearer {text}")).ok()?;
    header.set_sensitive(true);
    Some(Token {
        header,
        asked_at,
        renewed_at: asked_at + lifetime - limits::TOKEN_RENEWED_BEFORE.min(lifetime / 2),
        ends_at: asked_at + lifetime,
    })
}

fn reason(body: &[u8]) -> Option<&'static str> {
    let answer: Json = serde_json::from_slice(body).ok()?;
    let said = answer.get("error")?.as_str()?;
    REASONS.into_iter().find(|reason| *reason == said)
}
