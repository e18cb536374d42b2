//! Policies in a remote OPA: its data API is asked, and whatever is no clear yes is a no.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use lru::LruCache;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::time::timeout;
use url::Url;

use super::{Answer, Silence};
use crate::limits;
use crate::quota::{Crowd, Sharing};
use crate::tenant::Tenant;
use crate::upstream::{AskError, Bounds, Upstream, UpstreamError};

/// The policy that is asked when nobody says.
pub const OPA_FETCH_POLICY_DEFAULT: &str = "mcp/fetch";

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Where OPA is, and what is asked there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpaOptions {
    url: Url,
    policy: String,
    /// How long its decisions are remembered, if they are.
    pub remembered_for: Option<Duration>,
}

/// What cannot be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpaOptionsError {
    /// The URL is not one of a server.
    #[error(
        "an http or https URL without user, password, query and fragment, as http://127.0.0.1:8181"
    )]
    Url,
    /// The policy is not a path of names.
    #[error("the path of a policy: names of letters, digits, - and _ with / between, as mcp/fetch")]
    Policy,
}

impl std::fmt::Display for OpaOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OPA at {}", self.url)
    }
}

impl OpaOptions {
    /// OPA at `url`, asked for the document at `policy`, as `mcp/fetch`.
    ///
    /// # Errors
    /// [`OpaOptionsError`], which says what would be right.
    pub fn new(url: Url, policy: &str) -> Result<Self, OpaOptionsError> {
        if !is_server(&url) {
            return Err(OpaOptionsError::Url);
        }
        if !is_policy(policy) {
            return Err(OpaOptionsError::Policy);
        }
        Ok(Self {
            url,
            policy: policy.to_owned(),
            remembered_for: None,
        })
    }

    /// The rule that must be true, as `data.mcp.fetch.allow`.
    pub(super) fn rule(&self) -> String {
        format!("data.{}.allow", self.policy.replace('/', "."))
    }

    fn endpoint(&self) -> Url {
        let mut endpoint = self.url.clone();
        let beneath = self.url.path().trim_end_matches('/');
        endpoint.set_path(&format!("{beneath}/v1/data/{}", self.policy));
        endpoint
    }
}

/// Whether a URL names a server, and holds no secret.
pub(crate) fn is_server(url: &Url) -> bool {
    let is_plain = url.username().is_empty() && url.password().is_none();
    matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && is_plain
        && url.query().is_none()
        && url.fragment().is_none()
}

/// Whether this is the path of a policy.
pub(crate) fn is_policy(path: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    path.split('/')
        .all(|name| !name.is_empty() && name.bytes().all(is_part))
}

/// A remote OPA.
#[derive(Debug)]
pub(super) struct Opa {
    rule: String,
    url: Url,
    endpoint: Url,
    upstream: Upstream,
    turns: Crowd,
    memory: Option<Memory>,
}

impl Opa {
    pub(super) fn new(options: &OpaOptions) -> Result<Self, UpstreamError> {
        Ok(Self {
            rule: options.rule(),
            url: options.url.clone(),
            endpoint: options.endpoint(),
            upstream: Upstream::new([&options.url])?,
            turns: Crowd::new(limits::OPA_QUESTIONS_MAX, Sharing::Tenants),
            memory: options.remembered_for.map(Memory::new),
        })
    }

    pub(super) fn rule(&self) -> &str {
        &self.rule
    }

    #[cfg(test)]
    pub(super) fn turns(&self) -> &Crowd {
        &self.turns
    }

    pub(super) fn name(&self) -> String {
        format!("OPA at {}", self.url)
    }

    /// Asks about a document. Only answers are remembered.
    pub(super) async fn ask(&self, tenant: &Tenant, document: &str) -> Result<Answer, Silence> {
        let known = self.memory.as_ref().map(|memory| (memory, key(document)));
        if let Some((memory, key)) = &known
            && let Some(answer) = memory.get(key)
        {
            return Ok(answer);
        }
        let time = limits::POLICY_ANSWER_TIMEOUT;
        let answer = timeout(time, self.question(tenant, document)).await;
        let answer = answer.unwrap_or(Err(Silence::Upstream(AskError::Late(time))))?;
        if let Some((memory, key)) = known {
            memory.put(key, answer);
        }
        Ok(answer)
    }

    async fn question(&self, tenant: &Tenant, document: &str) -> Result<Answer, Silence> {
        let _turn = self.turns.turn(tenant).await;
        let time = limits::POLICY_ANSWER_TIMEOUT;
        let headers: HeaderMap = [(CONTENT_TYPE, JSON), (ACCEPT, JSON)].into_iter().collect();
        let body = Bytes::from(format!("{{\"input\":{document}}}"));
        let bytes = limits::OPA_ANSWER_BYTES_MAX;
        let bounds = Bounds { time, bytes };
        let asked = self.upstream.post(&self.endpoint, headers, body, bounds);
        match asked.await.map_err(Silence::Upstream)? {
            (StatusCode::OK, body) => read(&body),
            (status, _) => Err(Silence::Status(status.as_u16())),
        }
    }
}

/// Reads an answer: `{"result": {"allow": true}}` is a yes. Without a result the policy is not defined
/// there, which OPA answers like any other question; that is a no.
fn read(body: &[u8]) -> Result<Answer, Silence> {
    let Ok(Value::Object(answer)) = serde_json::from_slice(body) else {
        return Err(Silence::Malformed);
    };
    let is_true =
        |rule| answer.get("result").and_then(|result| result.get(rule)) == Some(&Value::Bool(true));
    Ok(Answer {
        allow: is_true("allow"),
        allow_private: is_true("allow_private"),
    })
}

type Key = [u8; 32];

fn key(document: &str) -> Key {
    Sha256::digest(document).into()
}

/// Decisions, each for a short time. They are kept by the hash of all that they depend on.
#[derive(Debug)]
struct Memory {
    time: Duration,
    decisions: Mutex<LruCache<Key, (Instant, Answer)>>,
}

impl Memory {
    fn new(time: Duration) -> Self {
        Self {
            time,
            decisions: Mutex::new(LruCache::new(limits::OPA_DECISIONS_MAX)),
        }
    }

    fn get(&self, key: &Key) -> Option<Answer> {
        let mut decisions = self
            .decisions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (at, answer) = *decisions.get(key)?;
        (at.elapsed() < self.time).then_some(answer)
    }

    fn put(&self, key: Key, answer: Answer) {
        let mut decisions = self
            .decisions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        decisions.put(key, (Instant::now(), answer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_yes_is_one() {
        let yes = Answer {
            allow: true,
            allow_private: false,
        };
        let no = Answer {
            allow: false,
            allow_private: false,
        };
        assert_eq!(read(br#"{"result":{"allow":true}}"#), Ok(yes));
        let private =
            br#"{"decision_id":"x","result":{"allow":true,"allow_private":true,"why":[1]}}"#;
        assert_eq!(
            read(private),
            Ok(Answer {
                allow: true,
                allow_private: true
            })
        );
        for text in [
            r"{}",
            r#"{"result":{}}"#,
            r#"{"result":true}"#,
            r#"{"result":null}"#,
            r#"{"result":[{"allow":true}]}"#,
            r#"{"result":{"allow":"true"}}"#,
            r#"{"result":{"allow":1}}"#,
            r#"{"result":{"allow":null}}"#,
            r#"{"result":{"allow":false}}"#,
            r#"{"result":{"Allow":true}}"#,
            r#"{"allow":true}"#,
        ] {
            assert_eq!(read(text.as_bytes()), Ok(no), "{text}");
        }
        for text in [
            "",
            "true",
            "[]",
            "null",
            "{",
            r#"{"result":{"allow":true}}x"#,
            "\u{feff}{}",
        ] {
            assert_eq!(read(text.as_bytes()), Err(Silence::Malformed), "{text}");
        }
    }

    #[test]
    fn the_question_goes_to_the_data_api_beneath_the_url() {
        for (url, policy, endpoint, rule) in [
            (
                "http://h:8181",
                "mcp/fetch",
                "http://h:8181/v1/data/mcp/fetch",
                "data.mcp.fetch.allow",
            ),
            (
                "https://h/opa/",
                "a",
                "https://h/opa/v1/data/a",
                "data.a.allow",
            ),
        ] {
            let options = OpaOptions::new(url.parse().unwrap(), policy).unwrap();
            assert_eq!(options.endpoint().as_str(), endpoint);
            assert_eq!(options.rule(), rule);
        }
        for url in [
            "ftp://h",
            "unix:/x",
            "http://u@h",
            "http://u:p@h",
            "http://h?a",
            "http://h#a",
        ] {
            let refused = OpaOptions::new(url.parse().unwrap(), "a");
            assert_eq!(refused, Err(OpaOptionsError::Url), "{url}");
        }
        for policy in [
            "", "/", "/a", "a/", "a//b", "a.b", "a/../b", "a?b", "a b", "a%2e",
        ] {
            let refused = OpaOptions::new("http://h".parse().unwrap(), policy);
            assert_eq!(refused, Err(OpaOptionsError::Policy), "{policy}");
        }
    }

    #[test]
    fn decisions_are_forgotten_in_time() {
        let yes = Answer {
            allow: true,
            allow_private: false,
        };
        let memory = Memory::new(Duration::from_secs(3600));
        assert_eq!(memory.get(&key("a")), None);
        memory.put(key("a"), yes);
        assert_eq!(memory.get(&key("a")), Some(yes));
        assert_eq!(memory.get(&key("b")), None);
        let memory = Memory::new(Duration::ZERO);
        memory.put(key("a"), yes);
        assert_eq!(memory.get(&key("a")), None);
    }
}
