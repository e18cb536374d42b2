//! What an operator decides about authentication.

use std::path::PathBuf;

use jsonwebtoken::Algorithm;
use url::{Host, Url};

/// How callers are known; at least one way is there.
#[derive(Debug, Clone)]
pub struct AuthOptions {
    /// The file of tokens.
    pub tokens: Option<PathBuf>,
    /// Tokens that somebody else signs.
    pub jwt: Option<JwtOptions>,
    /// What clients are told about where to get tokens.
    pub metadata: Option<Metadata>,
}

/// Which signed tokens are believed.
#[derive(Debug, Clone)]
pub struct JwtOptions {
    /// Where the keys are.
    pub keys: KeySource,
    /// Who issues them: `iss`, exactly.
    pub issuer: String,
    /// For whom they are: one of `aud`.
    pub audience: String,
    /// How they may be signed; none of these with a secret that is shared.
    pub algorithms: Vec<Algorithm>,
    /// The claim that names the tenant.
    pub tenant_claim: String,
    /// What they let their holders do.
    pub scopes: JwtScopes,
}

/// What a signed token lets its holder do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum JwtScopes {
    /// All that its tenant may.
    #[default]
    All,
    /// What its claim `scope` or `scp` names.
    Claimed,
}

/// Where the keys of who signs tokens are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A server gives them.
    Url(Url),
    /// They are in a file.
    File(PathBuf),
}

/// What clients are told that come without a token (RFC 9728).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// The address that clients use.
    pub resource: Url,
    /// Who gives tokens for it.
    pub servers: Vec<Url>,
}

/// The algorithms when nobody says.
pub const ALGORITHMS_DEFAULT: [Algorithm; 3] =
    [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];

/// Those that can be allowed: with each of them who checks a token cannot make one.
const ALGORITHMS: [(&str, Algorithm); 9] = [
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
];

/// A text that is no list of algorithms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "some of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA, separated by commas"
)]
pub struct MalformedAlgorithms;

/// Reads a list of algorithms.
///
/// # Errors
/// [`MalformedAlgorithms`].
pub fn algorithms(text: &str) -> Result<Vec<Algorithm>, MalformedAlgorithms> {
    let named = text.split(',').map(|name| {
        let found = ALGORITHMS.iter().find(|(known, _)| *known == name.trim());
        found.map(|(_, algorithm)| *algorithm)
    });
    named.collect::<Option<_>>().ok_or(MalformedAlgorithms)
}

/// Whether what this URL answers can be believed: nobody on the way can change it.
pub fn is_trusted_url(url: &Url) -> bool {
    let is_private = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    let is_bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    is_bare && (url.scheme() == "https" && url.has_host() || url.scheme() == "http" && is_private)
}

/// Whether this URL can name a server to clients (RFC 8707, section 2).
pub fn is_public_url(url: &Url) -> bool {
    is_trusted_url(url) && url.query().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_algorithms_with_a_public_key_can_be_allowed() {
        assert_eq!(
            algorithms("RS256, EdDSA"),
            Ok(vec![Algorithm::RS256, Algorithm::EdDSA])
        );
        for bad in ["", "HS256", "none", "RS256,", "rs256", "RS256 ES256"] {
            assert_eq!(algorithms(bad), Err(MalformedAlgorithms), "{bad}");
        }
    }

    #[test]
    fn keys_come_over_https_or_from_this_machine() {
        let is_trusted = |url: &str| is_trusted_url(&Url::parse(url).unwrap());
        for good in [
            "https://id.example.com/jwks?v=1",
            "http://127.0.0.1:9/jwks",
            "http://[::1]/jwks",
            "http://localhost:9/jwks",
        ] {
            assert!(is_trusted(good), "{good}");
        }
        for bad in [
            "http://id.example.com/jwks",
            "http://10.0.0.1/jwks",
            "http://localhost.example.com/jwks",
            "https://u:p@id.example.com/jwks",
            "file:///etc/jwks",
            "https://id.example.com/jwks#x",
        ] {
            assert!(!is_trusted(bad), "{bad}");
        }
        assert!(is_public_url(&Url::parse("https://a.example/mcp").unwrap()));
        assert!(!is_public_url(
            &Url::parse("https://a.example/mcp?a").unwrap()
        ));
    }
}
