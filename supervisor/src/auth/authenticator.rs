//! Who decides who calls.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};

use super::caller::Caller;
use super::jwt::{BadToken, Jwt, Unknown};
use super::keys::{KeySet, KeysError};
use super::options::{AuthOptions, JwtScopes, Metadata};
use super::tokens::{TokenFileError, Tokens};
use crate::limits;
use crate::quota::TenantLimits;
use crate::tenant::Tenant;

/// Why callers cannot be known. Its text is for the operator.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file of tokens cannot be used.
    #[error(transparent)]
    Tokens(#[from] TokenFileError),
    /// The keys of the issuer cannot be had.
    #[error("the keys of the issuer: {0}")]
    Keys(#[from] KeysError),
}

/// Why a request is not let in. The text is for its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoEntry {
    /// It brings no token.
    #[error("a token is needed: send it in the header Authorization: Bearer TOKEN")]
    NoToken,
    /// What it brings is not one token.
    #[error("the request must have one Authorization header, with one bearer token")]
    Malformed,
    /// The token lets nobody in.
    #[error("the token is not valid{}", reason.told())]
    BadToken {
        /// Why not.
        reason: Reason,
    },
    /// It cannot be said now.
    #[error("tokens cannot be checked now; try again in a moment")]
    Unavailable,
}

/// Why a token lets nobody in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Nobody has it.
    Unlisted,
    /// It is longer than any.
    Long,
    /// It is signed, and not believed.
    Signed(SignedReason),
}

/// Why a signed token is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedReason(BadToken);

impl Reason {
    /// What its sender is told of it: only what a client can do something about, and who has signed it
    /// knows already.
    fn told(self) -> &'static str {
        match self {
            Self::Signed(SignedReason(BadToken::Expired)) => ": it has expired",
            Self::Signed(SignedReason(BadToken::Early)) => ": it is not valid yet",
            Self::Signed(SignedReason(BadToken::Audience)) => ": it is for another audience",
            Self::Signed(SignedReason(BadToken::Tenant)) => ": it names no tenant",
            Self::Unlisted | Self::Long | Self::Signed(_) => "",
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unlisted => f.write_str("nobody has the token"),
            Self::Long => f.write_str("the token is too long"),
            Self::Signed(SignedReason(bad)) => write!(f, "{bad}"),
        }
    }
}

/// Knows callers by their tokens.
#[derive(Debug)]
pub struct Authenticator {
    tokens: Option<TokenFile>,
    jwt: Option<Jwt>,
    metadata: Option<Metadata>,
}

#[derive(Debug)]
struct TokenFile {
    path: PathBuf,
    current: RwLock<Arc<Tokens>>,
}

/// New tokens and keys, which are not used yet.
#[derive(Debug)]
pub struct Prepared {
    tokens: Option<Tokens>,
    keys: Option<KeySet>,
}

impl Authenticator {
    /// Reads the file of tokens, and gets the issuer's keys. A server that gives no keys now may do so
    /// later: until then nobody is believed whom it has to vouch for.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(options: AuthOptions) -> Result<Self, OpenError> {
        let tokens = options.tokens.map(TokenFile::open).transpose()?;
        let jwt = options.jwt.map(Jwt::new).transpose()?;
        if let Some(jwt) = &jwt {
            match jwt.keys.get().await {
                Ok(keys) => jwt.keys.put(keys),
                Err(error) if jwt.keys.are_remote() => {
                    tracing::warn!("{error}; nobody whose token it has to vouch for is let in");
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Self {
            tokens,
            jwt,
            metadata: options.metadata,
        })
    }

    /// What clients are told that come without a token.
    pub fn metadata(&self) -> Option<&Metadata> {
        self.metadata.as_ref()
    }

    /// Whether signed tokens name what they are for: then clients are told what there is to ask for.
    pub fn asks_for_scopes(&self) -> bool {
        let jwt = self.jwt.as_ref();
        jwt.is_some_and(|jwt| jwt.scopes() == JwtScopes::Claimed)
    }

    /// The limits that tenants have of their own.
    pub fn limits(&self) -> HashMap<Tenant, TenantLimits> {
        let tokens = self.tokens.as_ref();
        tokens.map_or_else(HashMap::new, |tokens| tokens.current().limits().clone())
    }

    /// The first tenants that the file of tokens names, as many as have figures of their own.
    pub fn tenants(&self) -> Vec<Tenant> {
        let tokens = self.tokens.as_ref();
        tokens.map_or_else(Vec::new, |tokens| tokens.current().tenants().to_vec())
    }

    /// Reads tokens and keys again, and changes nothing yet.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn prepare(&self) -> Result<Prepared, OpenError> {
        let tokens = self.tokens.as_ref();
        let tokens = tokens.map(|file| Tokens::read(&file.path)).transpose()?;
        let keys = match &self.jwt {
            Some(jwt) => Some(jwt.keys.get().await?),
            None => None,
        };
        Ok(Prepared { tokens, keys })
    }

    /// Uses what was prepared. Streams end that were opened with a token that is not there any more.
    pub fn change(&self, prepared: Prepared) {
        if let (Some(file), Some(tokens)) = (&self.tokens, prepared.tokens) {
            file.replace(tokens);
        }
        if let (Some(jwt), Some(keys)) = (&self.jwt, prepared.keys) {
            jwt.keys.put(keys);
        }
    }

    /// Reads tokens and keys again, and uses them.
    ///
    /// # Errors
    /// [`OpenError`]: everything is as before.
    pub async fn reload(&self) -> Result<(), OpenError> {
        self.change(self.prepare().await?);
        Ok(())
    }

    /// Who has sent a request with these headers.
    ///
    /// # Errors
    /// [`NoEntry`].
    pub async fn caller(&self, headers: &HeaderMap) -> Result<Caller, NoEntry> {
        let token = bearer(headers)?;
        let caller = self.who_has(token).await?;
        Ok(caller.with_token(token.as_bytes()))
    }

    async fn who_has(&self, token: &str) -> Result<Caller, NoEntry> {
        let bad = |reason| NoEntry::BadToken { reason };
        if token.len() > limits::TOKEN_BYTES_MAX {
            return Err(bad(Reason::Long));
        }
        let listed = self.tokens.as_ref().map(TokenFile::current);
        if let Some(caller) = listed.and_then(|tokens| tokens.find(token.as_bytes())) {
            return Ok(caller);
        }
        match &self.jwt {
            Some(jwt) if is_signed(token) => {
                jwt.check(token).await.map_err(|unknown| match unknown {
                    Unknown::Bad(why) => bad(Reason::Signed(SignedReason(why))),
                    Unknown::Unavailable => NoEntry::Unavailable,
                })
            }
            Some(_) | None => Err(bad(Reason::Unlisted)),
        }
    }
}

impl TokenFile {
    fn open(path: PathBuf) -> Result<Self, TokenFileError> {
        let current = RwLock::new(Arc::new(Tokens::read(&path)?));
        Ok(Self { path, current })
    }

    fn current(&self) -> Arc<Tokens> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn replace(&self, tokens: Tokens) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(tokens.replace(&current));
    }
}

/// The token of a request. It stands in this header or nowhere: what is in a URL gets into logs.
fn bearer(headers: &HeaderMap) -> Result<&str, NoEntry> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let header = match (all.next(), all.next()) {
        (None, _) => return Err(NoEntry::NoToken),
        (Some(header), None) => header,
        (Some(_), Some(_)) => return Err(NoEntry::Malformed),
    };
    let (scheme, token) = split(header).ok_or(NoEntry::Malformed)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(NoEntry::NoToken);
    }
    let token = token.trim_start_matches(' ');
    // RFC 6750, section 2.1.
    let is_token = !token.is_empty()
        && token
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte));
    is_token.then_some(token).ok_or(NoEntry::Malformed)
}

fn split(header: &HeaderValue) -> Option<(&str, &str)> {
    header.to_str().ok()?.split_once(' ')
}

/// Whether a token has the three parts of one that is signed.
fn is_signed(token: &str) -> bool {
    token.bytes().filter(|byte| *byte == b'.').count() == 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(values: &[&str]) -> Result<String, NoEntry> {
        let values = values.iter().map(|value| value.parse().unwrap());
        let headers: HeaderMap = values.map(|value| (AUTHORIZATION, value)).collect();
        let mut all = HeaderMap::new();
        for value in headers.get_all(AUTHORIZATION) {
            all.append(AUTHORIZATION, value.clone());
        }
        bearer(&all).map(str::to_owned)
    }

    #[test]
    fn a_token_stands_in_one_header_alone() {
        let good = Ok("abc.-_~+/=".to_owned());
        assert_eq!(token(&["Bearer abc.-_~+/="]), good);
        assert_eq!(token(&["bearer   abc.-_~+/="]), good);
        assert_eq!(token(&[]), Err(NoEntry::NoToken));
        assert_eq!(token(&["Basic YTpi"]), Err(NoEntry::NoToken));
        for bad in [
            "Bearer",
            "Bearer ",
            "Bearer a b",
            "Bearer a,b",
            "Bearer \"a\"",
        ] {
            assert_eq!(token(&[bad]), Err(NoEntry::Malformed), "{bad}");
        }
        for twice in [["Bearer a", "Bearer a"], ["Basic a", "Bearer a"]] {
            let mut headers = HeaderMap::new();
            for value in twice {
                headers.append(AUTHORIZATION, HeaderValue::from_static(value));
            }
            assert_eq!(bearer(&headers), Err(NoEntry::Malformed), "{twice:?}");
        }
    }
}
