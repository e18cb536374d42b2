//! Who is let in: every request gets its caller here, before its body is read, or its answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::Request;
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http_body::Body as _;

use super::error::{HttpError, failure};
use super::error_code::ErrorCode;
use super::metadata;
use super::peer::Peer;
use super::until::until;
use crate::api::Failed;
use crate::audit::{Actor, Audit, Event};
use crate::auth::{Authenticator, Caller, NoEntry, Scope};
use crate::limits;
use crate::quota::Sharing;
use crate::telemetry::Seldom;

/// Who may use a server. Clones share it.
#[derive(Debug, Clone)]
pub enum Access {
    /// Everybody who reaches it, all as one tenant.
    Everybody,
    /// Those with a token.
    Tokens(Arc<Authenticator>),
}

impl Access {
    /// Who tells callers apart, where they are.
    pub const fn authenticator(&self) -> Option<&Arc<Authenticator>> {
        match self {
            Self::Everybody => None,
            Self::Tokens(authenticator) => Some(authenticator),
        }
    }

    /// Whether there are several tenants.
    pub const fn sharing(&self) -> Sharing {
        match self {
            Self::Everybody => Sharing::Alone,
            Self::Tokens(_) => Sharing::Tenants,
        }
    }
}

/// Is with an answer to a request that its token is not for: what the token would have to be for. The
/// layer that lets requests in says so in the way that clients know (RFC 6750, section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeedsScope(pub Scope);

/// Lets requests in, or not.
#[derive(Debug, Clone)]
pub(super) struct Gate {
    access: Access,
    /// What is said to those who come without a token, about where to get one.
    challenge: Arc<str>,
    /// And what it may be for, where tokens say that.
    scopes: Arc<str>,
    refused: Arc<Refused>,
    audit: Audit,
}

impl Gate {
    pub(super) fn new(access: Access, audit: Audit) -> Self {
        let metadata = match &access {
            Access::Everybody => None,
            Access::Tokens(authenticator) => authenticator.metadata(),
        };
        let mut challenge = "Bearer realm=\"mcp-v8\"".to_owned();
        if let Some(metadata) = metadata {
            let place = metadata::place(&metadata.resource);
            challenge.push_str(&format!(", resource_metadata=\"{place}\""));
        }
        let asks_for_scopes = access
            .authenticator()
            .is_some_and(|it| it.asks_for_scopes());
        let scopes = match asks_for_scopes {
            true => format!(", scope=\"{}\"", Scope::ALL.map(Scope::name).join(" ")),
            false => String::new(),
        };
        Self {
            access,
            challenge: challenge.into(),
            scopes: scopes.into(),
            refused: Arc::default(),
            audit,
        }
    }

    async fn caller(&self, headers: &HeaderMap) -> Result<Caller, NoEntry> {
        match &self.access {
            Access::Everybody => Ok(Caller::local()),
            Access::Tokens(authenticator) => authenticator.caller(headers).await,
        }
    }

    /// Notes that somebody could not say who it is. That a client asks without a token is how it learns
    /// that it needs one.
    fn note(&self, no_entry: NoEntry, peer: Option<Peer>) {
        let (reason, why) = match no_entry {
            NoEntry::NoToken => return,
            NoEntry::Malformed => ("malformed", no_entry.to_string()),
            NoEntry::BadToken { reason } => ("bad_token", reason.to_string()),
            NoEntry::Unavailable => ("unavailable", no_entry.to_string()),
        };
        self.refused.tell(&why);
        self.audit.note(Event::AuthenticationFailed {
            peer: peer.map(|peer| peer.to_string()),
            reason,
            transport: "http",
        });
    }

    /// The answer to a request that is not let in (RFC 6750, section 3).
    fn refusal(&self, no_entry: NoEntry) -> Response {
        let (code, error) = match no_entry {
            NoEntry::NoToken => (ErrorCode::Unauthorized, None),
            NoEntry::Malformed => (ErrorCode::BadAuthorization, Some("invalid_request")),
            NoEntry::BadToken { .. } => (ErrorCode::Unauthorized, Some("invalid_token")),
            NoEntry::Unavailable => (ErrorCode::AuthorizationUnavailable, None),
        };
        let text = no_entry.to_string();
        let mut response = failure(code, &Failed::new(code.name(), &text));
        if code == ErrorCode::AuthorizationUnavailable {
            return response;
        }
        let mut challenge = format!("{}{}", self.challenge, self.scopes);
        if let Some(error) = error {
            challenge.push_str(&format!(
                ", error=\"{error}\", error_description=\"{text}\""
            ));
        }
        put_challenge(&mut response, challenge);
        response
    }

    /// Says of an answer that more than the token is for was asked for, and notes it.
    fn tell_scope(&self, response: &mut Response, scope: Scope, caller: &Caller) {
        let challenge = format!(
            "{}, error=\"insufficient_scope\", scope=\"{scope}\"",
            self.challenge
        );
        put_challenge(response, challenge);
        self.audit.note(Event::ScopeMissed {
            actor: Actor {
                tenant: caller.tenant().name().to_owned(),
                token: caller.token_id().map(str::to_owned),
                transport: Some("http"),
            },
            scope: scope.name(),
        });
    }
}

/// All of it is text of this program, and a URL.
fn put_challenge(response: &mut Response, challenge: String) {
    if let Ok(challenge) = HeaderValue::try_from(challenge) {
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
}

/// Passes a request on with its caller. What is streamed to a caller ends when its token does.
pub(super) async fn check<F>(
    gate: &Gate,
    mut request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response
where
    F: Future<Output = Response>,
{
    let caller = match gate.caller(request.headers()).await {
        Ok(caller) => caller,
        Err(no_entry) => {
            gate.note(no_entry, request.extensions().get().copied());
            return gate.refusal(no_entry);
        }
    };
    // It has done its work: nobody behind here can show it, or pass it on.
    request.headers_mut().remove(AUTHORIZATION);
    let over = caller.expired();
    request.extensions_mut().insert(caller.clone());
    let mut response = next(request).await;
    if let Some(NeedsScope(scope)) = response.extensions().get().copied() {
        gate.tell_scope(&mut response, scope, &caller);
    }
    if matches!(gate.access, Access::Everybody) || response.body().size_hint().exact().is_some() {
        return response;
    }
    response.map(|body| until(body, over))
}

/// Passes a request on if its caller may see figures of all tenants.
pub(super) async fn operators_only(request: Request, next: Next) -> Response {
    let caller = request.extensions().get::<Caller>();
    match caller.map(Caller::is_operator) {
        None => HttpError::NobodyCalls.into_response(),
        Some(false) => HttpError::NoOperator.into_response(),
        Some(true) => next.run(request).await,
    }
}

/// Requests that were not let in: told now and then, so that whoever makes many fills no disk.
#[derive(Debug)]
struct Refused {
    untold: AtomicU64,
    telling: Seldom,
}

impl Default for Refused {
    fn default() -> Self {
        Self {
            untold: AtomicU64::new(0),
            telling: Seldom::every(limits::REFUSALS_LOG_INTERVAL),
        }
    }
}

impl Refused {
    fn tell(&self, why: &str) {
        self.untold.fetch_add(1, Ordering::Relaxed);
        if self.telling.is_due() {
            let number = self.untold.swap(0, Ordering::Relaxed);
            tracing::warn!(number, "requests were not let in; the last one: {why}");
        }
    }
}
