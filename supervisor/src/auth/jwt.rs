//! Tokens that somebody else signs (JWT, RFC 7519), as RFC 8725 and RFC 9068 want them checked.
//!
//! What a token says of its own key (`jwk`, `jku`, `x5u`, `x5c`) is not looked at: keys come from the
//! operator's source alone.

use std::collections::HashSet;
use std::time::Duration;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Header, Validation, decode, decode_header, get_current_timestamp};
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::caller::{Caller, Role};
use super::keys::{Keys, KeysError, NoKey, Pace, Wanted};
use super::options::{JwtOptions, JwtScopes};
use super::ring_verifier;
use super::scopes::Scopes;
use super::validity::{Revocation, Validity};
use crate::limits;

/// What is said to be in a token that is meant to let somebody in. Others (those that log out, say) are for
/// something else, whoever signs them.
const TYPES: [&str; 3] = ["jwt", "at+jwt", "application/at+jwt"];

/// Why a token is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadToken {
    #[error("it is malformed")]
    Malformed,
    #[error("it is signed in a way that is not allowed")]
    Algorithm,
    #[error("it is no access token")]
    Type,
    #[error("the issuer has no such key")]
    Key,
    #[error("its signature is wrong")]
    Signature,
    #[error("it has expired")]
    Expired,
    #[error("it is not valid yet")]
    Early,
    #[error("it is from another issuer")]
    Issuer,
    #[error("it is for another audience")]
    Audience,
    #[error("it names no tenant")]
    Tenant,
    #[error("it lacks what a token must say")]
    Incomplete,
}

/// Why it is not known who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unknown {
    Bad(BadToken),
    /// The issuer's keys are not to be had.
    Unavailable,
}

impl From<BadToken> for Unknown {
    fn from(bad: BadToken) -> Self {
        Self::Bad(bad)
    }
}

/// Who checks such tokens.
#[derive(Debug)]
pub(super) struct Jwt {
    pub(super) keys: Keys,
    options: JwtOptions,
}

impl Jwt {
    /// Has no keys yet.
    pub(super) fn new(options: JwtOptions) -> Result<Self, KeysError> {
        ring_verifier::install();
        let keys = Keys::new(options.keys.clone(), Pace::default())?;
        Ok(Self { keys, options })
    }

    /// What tokens let their holders do.
    pub(super) fn scopes(&self) -> JwtScopes {
        self.options.scopes
    }

    /// Who has this token.
    pub(super) async fn check(&self, token: &str) -> Result<Caller, Unknown> {
        let header = decode_header(token).map_err(|_| BadToken::Malformed)?;
        self.check_header(&header)?;
        let wanted = Wanted {
            algorithm: header.alg,
            name: header.kid.as_deref(),
        };
        let key = self.keys.find(wanted).await.map_err(|none| match none {
            NoKey::Unknown => BadToken::Key.into(),
            NoKey::Unavailable => Unknown::Unavailable,
        })?;
        let decoded = decode(token, &key, &self.validation(&header)).map_err(bad)?;
        Ok(self.caller(&decoded.claims)?)
    }

    fn check_header(&self, header: &Header) -> Result<(), BadToken> {
        if !self.options.algorithms.contains(&header.alg) {
            return Err(BadToken::Algorithm);
        }
        // Whatever must be understood here is not.
        if header.crit.is_some() || header.enc.is_some() || header.zip.is_some() {
            return Err(BadToken::Malformed);
        }
        let kind = header.typ.as_ref().map(|kind| kind.to_ascii_lowercase());
        let is_access = kind.is_none_or(|kind| TYPES.contains(&kind.as_str()));
        is_access.then_some(()).ok_or(BadToken::Type)
    }

    fn validation(&self, header: &Header) -> Validation {
        let only = |text: &String| Some(HashSet::from([text.clone()]));
        let mut validation = Validation::new(header.alg);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.leeway = limits::JWT_LEEWAY.as_secs();
        validation.validate_nbf = true;
        validation.iss = only(&self.options.issuer);
        validation.aud = only(&self.options.audience);
        validation
    }

    /// Whom the claims of a token name that is believed.
    fn caller(&self, claims: &Map<String, Value>) -> Result<Caller, BadToken> {
        // The library would take a list too.
        if claims.get("iss").and_then(Value::as_str) != Some(&self.options.issuer) {
            return Err(BadToken::Issuer);
        }
        let named = claims.get(&self.options.tenant_claim);
        let tenant = named.and_then(Value::as_str).map(str::parse);
        let Some(Ok(tenant)) = tenant else {
            return Err(BadToken::Tenant);
        };
        let expires = claims.get("exp").and_then(Value::as_f64);
        let validity = Validity {
            expires: Some(end(expires.ok_or(BadToken::Incomplete)?)),
            revoked: Revocation::default(),
        };
        // Who signs tokens does not decide who runs this server.
        let caller = Caller::new(tenant, Role::User, validity);
        Ok(match self.options.scopes {
            JwtScopes::All => caller,
            JwtScopes::Claimed => {
                let claimed = ["scope", "scp"].map(|name| claims.get(name));
                caller.with_scopes(Scopes::claimed(claimed))
            }
        })
    }
}

/// When it is no longer believed what expires then.
fn end(expires: f64) -> Instant {
    let left = expires + limits::JWT_LEEWAY.as_secs_f64() - get_current_timestamp() as f64;
    let left = Duration::try_from_secs_f64(left.clamp(0.0, f64::from(u32::MAX)));
    Instant::now() + left.unwrap_or_default()
}

fn bad(error: jsonwebtoken::errors::Error) -> BadToken {
    match error.kind() {
        ErrorKind::InvalidSignature => BadToken::Signature,
        ErrorKind::ExpiredSignature => BadToken::Expired,
        ErrorKind::ImmatureSignature => BadToken::Early,
        ErrorKind::InvalidIssuer => BadToken::Issuer,
        ErrorKind::InvalidAudience => BadToken::Audience,
        ErrorKind::InvalidAlgorithm | ErrorKind::UnsupportedAlgorithm => BadToken::Algorithm,
        ErrorKind::MissingRequiredClaim(_) => BadToken::Incomplete,
        _ => BadToken::Malformed,
    }
}
