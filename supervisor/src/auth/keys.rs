//! The keys of who signs tokens: got once, kept, and got again when they are old or a token names one that
//! is not there. While nobody gives newer ones the old are believed for a while, and then nothing is.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyOperations, PublicKeyUse,
};
use jsonwebtoken::{Algorithm, DecodingKey};
use tokio::sync::OwnedMutexGuard;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use url::Url;

use super::options::KeySource;
use crate::limits;
use crate::upstream::{AskError, Bounds, Upstream, UpstreamError};

/// Why there are no keys. Its text is for the operator.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The file cannot be read.
    #[error("{path} cannot be read: {problem}", path = .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        problem: std::io::Error,
    },
    /// No server can be asked.
    #[error(transparent)]
    NoClient(#[from] UpstreamError),
    /// The server gives none.
    #[error("{url} gives no keys: {problem}")]
    Unreachable {
        /// Which.
        url: Url,
        /// Why.
        problem: AskError,
    },
    /// The server gives none.
    #[error("{url} gives no keys: it answered with status {status}")]
    Refused {
        /// Which.
        url: Url,
        /// What it said.
        status: StatusCode,
    },
    /// There is something else.
    #[error("there is no set of keys (JWKS): {0}")]
    Malformed(&'static str),
}

/// The keys of one issuer.
#[derive(Debug)]
pub(super) struct Keys {
    source: Source,
    pace: Pace,
    kept: Arc<RwLock<Kept>>,
    /// Who has it may ask; when that was done last is in it.
    flight: Arc<tokio::sync::Mutex<Option<Instant>>>,
}

/// How often keys are got.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    pub(super) age: Duration,
    pub(super) age_max: Duration,
    pub(super) pause: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            age: limits::JWKS_AGE,
            age_max: limits::JWKS_AGE_MAX,
            pause: limits::JWKS_PAUSE,
        }
    }
}

#[derive(Debug, Clone)]
enum Source {
    File(PathBuf),
    Server { url: Url, upstream: Box<Upstream> },
}

/// What was got, and when.
#[derive(Debug, Clone, Default)]
struct Kept {
    set: Arc<KeySet>,
    got_at: Option<Instant>,
}

/// Why there is no key for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoKey {
    /// The issuer has no such key.
    Unknown,
    /// It is not known which keys the issuer has.
    Unavailable,
}

/// Which key a token says that it is signed with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) algorithm: Algorithm,
    /// Its name; a token without one is signed with the only key that fits.
    pub(super) name: Option<&'a str>,
}

type Flight = OwnedMutexGuard<Option<Instant>>;

impl Keys {
    pub(super) fn new(source: KeySource, pace: Pace) -> Result<Self, KeysError> {
        let source = match source {
            KeySource::File(path) => Source::File(path),
            KeySource::Url(url) => Source::Server {
                upstream: Box::new(Upstream::new([&url])?),
                url,
            },
        };
        Ok(Self {
            source,
            pace,
            kept: Arc::default(),
            flight: Arc::default(),
        })
    }

    /// Whether who gives keys may be out of reach for a while.
    pub(super) fn are_remote(&self) -> bool {
        matches!(self.source, Source::Server { .. })
    }

    /// Gets keys that are not used yet.
    pub(super) async fn get(&self) -> Result<KeySet, KeysError> {
        self.source.get().await
    }

    /// Uses these keys from now on.
    pub(super) fn put(&self, set: KeySet) {
        put(&self.kept, set);
    }

    /// The key that a token is to be checked with.
    pub(super) async fn find(&self, wanted: Wanted<'_>) -> Result<Arc<DecodingKey>, NoKey> {
        let kept = self.kept();
        let age = kept.got_at.map(|at| at.elapsed());
        let is_usable = age.is_some_and(|age| age < self.pace.age_max);
        let found = kept.set.find(wanted).filter(|_| is_usable);
        if let Some(key) = found {
            if age.is_some_and(|age| age >= self.pace.age)
                && let Ok(flight) = Arc::clone(&self.flight).try_lock_owned()
            {
                let _goes_on_alone = self.renew(flight);
            }
            return Ok(key);
        }
        let flight = Arc::clone(&self.flight).lock_owned().await;
        // It goes on when this future is dropped: those who wait get its answer.
        let _renewed = self.renew(flight).await;
        let kept = self.kept();
        let is_usable = kept
            .got_at
            .is_some_and(|at| at.elapsed() < self.pace.age_max);
        if !is_usable {
            return Err(NoKey::Unavailable);
        }
        kept.set.find(wanted).ok_or(NoKey::Unknown)
    }

    fn kept(&self) -> Kept {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        kept.clone()
    }

    /// Gets the keys again, unless that was tried just now.
    fn renew(&self, mut flight: Flight) -> JoinHandle<()> {
        let (source, kept) = (self.source.clone(), Arc::clone(&self.kept));
        let pause = self.pace.pause;
        tokio::spawn(async move {
            if flight.is_some_and(|last| last.elapsed() < pause) {
                return;
            }
            *flight = Some(Instant::now());
            match source.get().await {
                Ok(set) => put(&kept, set),
                Err(error) => tracing::warn!("{error}; those that are known stay for a while"),
            }
        })
    }
}

fn put(kept: &RwLock<Kept>, set: KeySet) {
    *kept.write().unwrap_or_else(PoisonError::into_inner) = Kept {
        set: Arc::new(set),
        got_at: Some(Instant::now()),
    };
}

impl Source {
    async fn get(&self) -> Result<KeySet, KeysError> {
        let text = match self {
            Self::File(path) => {
                Bytes::from(read(path).await.map_err(|problem| KeysError::Unreadable {
                    path: path.clone(),
                    problem,
                })?)
            }
            Self::Server { url, upstream } => ask(url, upstream).await?,
        };
        KeySet::parse(&text)
    }
}

async fn read(path: &std::path::Path) -> std::io::Result<Vec<u8>> {
    use tokio::io::AsyncReadExt as _;
    let file = tokio::fs::File::open(path).await?;
    let mut text = Vec::new();
    let most = limits::JWKS_BYTES_MAX as u64 + 1;
    file.take(most).read_to_end(&mut text).await?;
    Ok(text)
}

async fn ask(url: &Url, upstream: &Upstream) -> Result<Bytes, KeysError> {
    let accepted = HeaderValue::from_static("application/jwk-set+json, application/json");
    let headers: HeaderMap = [(header::ACCEPT, accepted)].into_iter().collect();
    let bounds = Bounds {
        time: limits::JWKS_WAIT_MAX,
        bytes: limits::JWKS_BYTES_MAX,
    };
    match upstream.get(url, headers, bounds).await {
        Ok((StatusCode::OK, text)) => Ok(text),
        Ok((status, _)) => Err(KeysError::Refused {
            url: url.clone(),
            status,
        }),
        Err(problem) => Err(KeysError::Unreachable {
            url: url.clone(),
            problem,
        }),
    }
}

/// The keys that signatures can be checked with.
#[derive(Debug, Default)]
pub(super) struct KeySet(Vec<Known>);

#[derive(Debug)]
struct Known {
    name: Option<String>,
    kind: Kind,
    /// The one algorithm that it may be used with, where it says so.
    only: Option<String>,
    key: Arc<DecodingKey>,
}

/// What a key is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

impl KeySet {
    /// Reads a set. Keys for other things are left out; a set without any for this is none.
    fn parse(text: &[u8]) -> Result<Self, KeysError> {
        if text.len() > limits::JWKS_BYTES_MAX {
            return Err(KeysError::Malformed("it is too large"));
        }
        let set: JwkSet = serde_json::from_slice(text)
            .map_err(|_| KeysError::Malformed("it is not of that form"))?;
        if set.keys.len() > limits::JWKS_KEYS_MAX {
            return Err(KeysError::Malformed("it has too many keys"));
        }
        let known: Vec<Known> = set.keys.iter().filter_map(Known::of).collect();
        if known.is_empty() {
            return Err(KeysError::Malformed(
                "none of its keys can check a signature here",
            ));
        }
        Ok(Self(known))
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    fn find(&self, wanted: Wanted<'_>) -> Option<Arc<DecodingKey>> {
        let mut fitting = self.0.iter().filter(|known| {
            known.fits(wanted.algorithm)
                && wanted
                    .name
                    .is_none_or(|name| known.name.as_deref() == Some(name))
        });
        match (fitting.next(), fitting.next()) {
            (Some(known), None) => Some(Arc::clone(&known.key)),
            // Which of several it is, nothing says.
            _ => None,
        }
    }
}

impl Known {
    fn of(jwk: &Jwk) -> Option<Self> {
        let common = &jwk.common;
        let is_for_signatures = match &common.public_key_use {
            None | Some(PublicKeyUse::Signature) => true,
            Some(_) => false,
        };
        let can_verify = match &common.key_operations {
            None => true,
            Some(operations) => operations.contains(&KeyOperations::Verify),
        };
        let kind = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => Kind::Rsa,
            AlgorithmParameters::EllipticCurve(point) => match point.curve {
                EllipticCurve::P256 => Kind::P256,
                EllipticCurve::P384 => Kind::P384,
                _ => return None,
            },
            AlgorithmParameters::OctetKeyPair(point) => match point.curve {
                EllipticCurve::Ed25519 => Kind::Ed25519,
                _ => return None,
            },
            // A secret that is shared.
            _ => return None,
        };
        let is_usable = is_for_signatures && can_verify;
        let key = DecodingKey::from_jwk(jwk).ok().filter(|_| is_usable)?;
        Some(Self {
            name: common.key_id.clone(),
            kind,
            only: common.key_algorithm.map(|only| only.to_string()),
            key: Arc::new(key),
        })
    }

    fn fits(&self, algorithm: Algorithm) -> bool {
        let kind = match algorithm {
            Algorithm::ES256 => Kind::P256,
            Algorithm::ES384 => Kind::P384,
            Algorithm::EdDSA => Kind::Ed25519,
            _ => Kind::Rsa,
        };
        let name = format!("{algorithm:?}");
        self.kind == kind && self.only.as_ref().is_none_or(|only| *only == name)
    }
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
