//! Who is let in: what a request says of its sender is true, and it is said for the first time.

use std::sync::{Mutex, PoisonError};

use axum::http::StatusCode;
use axum::http::request::Parts;

use super::Credentials;
use super::head::{self, Claims, Garbled, Stamp};
use super::sessions::{Sessions, Unfit};
use super::tls::Names;
use crate::limits::PEER_CLOCK_SKEW_MAX;

/// Why somebody is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(in crate::cluster) enum Stranger {
    /// It says things of itself that cannot be read.
    #[error("the request has a {0} that cannot be read")]
    Garbled(&'static str),
    /// It does not show that it is a node.
    #[error("the request is not signed with the secret of this cluster")]
    Unsigned,
    /// It was sent too long ago, or by somebody whose clock is off.
    #[error(
        "the request was sent more than {} seconds ago or ahead: the clocks of nodes must agree",
        PEER_CLOCK_SKEW_MAX.as_secs()
    )]
    OtherTime,
    /// It was sent before.
    #[error("the request was sent before")]
    Again,
    /// Too many have been let in.
    #[error("too many connections are remembered; try again in a minute")]
    Crowd,
    /// Its certificate is of somebody else.
    #[error("the certificate does not name the node that the sender says it is")]
    OtherName,
}

impl From<Garbled> for Stranger {
    fn from(Garbled(what): Garbled) -> Self {
        Self::Garbled(what)
    }
}

impl Stranger {
    pub(in crate::cluster) const fn status(self) -> StatusCode {
        match self {
            Self::Garbled(_) => StatusCode::BAD_REQUEST,
            Self::Unsigned | Self::OtherTime | Self::Again => StatusCode::UNAUTHORIZED,
            Self::OtherName => StatusCode::FORBIDDEN,
            Self::Crowd => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// Who was let in.
#[derive(Debug, Clone)]
pub(in crate::cluster) struct Guest {
    /// Who it is.
    pub(in crate::cluster) claims: Claims,
    /// What its body has to be, where it is signed.
    pub(in crate::cluster) body: Option<[u8; 32]>,
    /// The signature that its answer refers to.
    pub(in crate::cluster) signature: Option<[u8; 32]>,
}

/// Where requests come in.
#[derive(Debug, Default)]
pub(in crate::cluster) struct Door {
    sessions: Mutex<Sessions>,
}

impl Door {
    /// Looks at the head of a request, before a byte of its body is read. `names` are those of the
    /// certificate that the connection has shown.
    pub(in crate::cluster) fn admit(
        &self,
        credentials: &Credentials,
        (request, names): (&Parts, Option<&Names>),
        now_secs: u64,
    ) -> Result<Guest, Stranger> {
        let mut guest = Guest {
            claims: Claims::default(),
            body: None,
            signature: None,
        };
        if let Credentials::Secret(secret) = credentials {
            // Nothing is believed, or remembered, before it is known who said it.
            if !secret.has_signed(&request.method, request.uri.path(), &request.headers) {
                return Err(Stranger::Unsigned);
            }
            let stamp = Stamp::read(&request.headers)?.ok_or(Stranger::Unsigned)?;
            if stamp.time.abs_diff(now_secs) > PEER_CLOCK_SKEW_MAX.as_secs() {
                return Err(Stranger::OtherTime);
            }
            let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
            sessions
                .take(stamp.nonce, now_secs)
                .map_err(|unfit| match unfit {
                    Unfit::Again => Stranger::Again,
                    Unfit::Full => Stranger::Crowd,
                })?;
            guest.body = Some(stamp.body);
            guest.signature = head::signature(&request.headers)?;
        }
        guest.claims = Claims::read(&request.headers)?;
        if let (Credentials::Tls(_), Some(from)) = (credentials, &guest.claims.from)
            && !names.is_some_and(|names| names.has(&from.name))
        {
            return Err(Stranger::OtherName);
        }
        Ok(guest)
    }
}
