//! Who may do what: every effect of a script is asked for here first. Default deny.
//!
//! Policies are Rego: in a directory, evaluated here (`rego`), or in a remote OPA (`opa`). Both are
//! told the same ([`input`]), and where both are configured both must allow.

pub mod check;
pub mod input;
mod opa;
mod rego;

use std::path::PathBuf;
use std::sync::Arc;

use http::{HeaderMap, Method};
use url::Url;

use self::opa::Opa;
pub use self::opa::{OPA_FETCH_POLICY_DEFAULT, OpaOptions, OpaOptionsError};
pub(crate) use self::opa::{is_policy, is_server};
use self::rego::Rego;
pub use self::rego::RegoError;
use crate::limits;
use crate::telemetry::Seldom;
use crate::tenant::Tenant;
use crate::upstream::{AskError, UpstreamError};

/// A request that a script wants to have made.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Whose script.
    pub tenant: Tenant,
    /// The session that it runs in, if it has one.
    pub session: Option<String>,
    /// The method.
    pub method: Method,
    /// Where to, of this hop.
    pub url: Url,
    /// The script's own headers, nothing that was injected.
    pub headers: HeaderMap,
}

/// Leave to make one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permit {
    /// Whether it may go to a private or special address.
    pub private_addresses: bool,
}

/// No leave.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The policy says no.
    #[error("{method} {host} is denied by the policy: {rule} is not true")]
    ByRule {
        /// The rule, as `data.mcp.fetch.allow`.
        rule: String,
        /// The method of the request.
        method: Method,
        /// The host of the request.
        host: String,
    },
    /// The policy could not be asked, which is a no.
    #[error("{method} {host} is denied: the policy {rule} gave no answer")]
    Unanswered {
        /// The rule, as `data.mcp.fetch.allow`.
        rule: String,
        /// The method of the request.
        method: Method,
        /// The host of the request.
        host: String,
    },
}

/// Where the policies are: at least in one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyOptions {
    /// In a directory.
    Directory(PathBuf),
    /// In a remote OPA.
    Opa(OpaOptions),
    /// In both, and both must allow.
    Both {
        /// The directory.
        directory: PathBuf,
        /// The remote OPA.
        opa: OpaOptions,
    },
}

/// Why the policies cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// Those in the directory.
    #[error(transparent)]
    Rego(#[from] RegoError),
    /// Those in OPA.
    #[error("OPA cannot be asked: {0}")]
    Opa(#[from] UpstreamError),
}

/// What a policy says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// Whether the request may be made.
    pub allow: bool,
    /// Whether it may then go to a private or special address.
    pub allow_private: bool,
}

/// Why a policy says nothing. It is for operators: what an evaluation says may hold what a script sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Silence {
    /// OPA could not be asked, or took too long, as an evaluation may.
    #[error("{0}")]
    Upstream(AskError),
    /// OPA answered with another status than 200.
    #[error("it answered with status {0}")]
    Status(u16),
    /// OPA answered something that is not a JSON object.
    #[error("its answer is not a JSON object")]
    Malformed,
    /// The evaluation failed.
    #[error("its evaluation failed: {0}")]
    Failed(String),
}

/// What one of the policies says to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Which one, in words.
    pub policy: String,
    /// The rule that must be true, as `data.mcp.fetch.allow`.
    pub rule: String,
    /// What it says.
    pub answer: Result<Answer, Silence>,
}

/// The policies of this server. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Policy(Arc<Sources>);

#[derive(Debug)]
struct Sources {
    first: Source,
    second: Option<Source>,
    /// When it was last logged that one says nothing.
    complaints: Seldom,
}

/// Where policies are evaluated.
#[derive(Debug)]
enum Source {
    Rego(Rego),
    Opa(Box<Opa>),
}

impl Policy {
    /// Reads the policies, and makes ready to ask for them. A remote OPA is not asked yet: it may come
    /// later than this server.
    ///
    /// # Errors
    /// [`PolicyError`] when they do not load, or nothing can be asked.
    pub async fn open(options: PolicyOptions) -> Result<Self, PolicyError> {
        let (first, second) = match options {
            PolicyOptions::Directory(directory) => {
                (Source::Rego(Rego::open(directory).await?), None)
            }
            PolicyOptions::Opa(opa) => (Source::Opa(Box::new(Opa::new(&opa)?)), None),
            // What costs no question comes first.
            PolicyOptions::Both { directory, opa } => (
                Source::Rego(Rego::open(directory).await?),
                Some(Source::Opa(Box::new(Opa::new(&opa)?))),
            ),
        };
        Ok(Self(Arc::new(Sources {
            first,
            second,
            complaints: Seldom::every(limits::POLICY_SILENCE_LOG_INTERVAL),
        })))
    }

    /// Asks every policy that is configured; all must allow.
    ///
    /// # Errors
    /// [`Denied`] when one says no or gives no answer in time.
    pub async fn decide(&self, asked: &Asked) -> Result<Permit, Denied> {
        let document = input::document(asked).to_string();
        let mut permit = Permit {
            private_addresses: true,
        };
        for source in self.0.each() {
            let answer = source.ask(&asked.tenant, &document).await;
            if let Err(silence) = &answer {
                self.0.complain(source, silence);
            }
            let leave = judge(asked, source.rule(), &answer)?;
            permit.private_addresses &= leave.private_addresses;
        }
        Ok(permit)
    }

    /// What each policy says, also those that [`Policy::decide`] need not ask any more.
    pub async fn verdicts(&self, asked: &Asked) -> Vec<Verdict> {
        let document = input::document(asked).to_string();
        let mut verdicts = Vec::new();
        for source in self.0.each() {
            verdicts.push(Verdict {
                policy: source.name(),
                rule: source.rule().to_owned(),
                answer: source.ask(&asked.tenant, &document).await,
            });
        }
        verdicts
    }
}

impl Sources {
    fn each(&self) -> impl Iterator<Item = &Source> {
        std::iter::once(&self.first).chain(&self.second)
    }

    /// Logs that a policy says nothing, now and then: scripts could fill the log.
    fn complain(&self, source: &Source, silence: &Silence) {
        if !self.complaints.is_due() {
            return;
        }
        let name = source.name();
        match silence {
            // It may hold what a script sent.
            Silence::Failed(_) => tracing::warn!(
                "{name}: an evaluation failed, so the request is denied; mcp-v8 policy check shows why"
            ),
            silence => tracing::warn!("{name}: {silence}, so the request is denied"),
        }
    }
}

impl Source {
    async fn ask(&self, tenant: &Tenant, document: &str) -> Result<Answer, Silence> {
        match self {
            Self::Rego(rego) => rego.ask(tenant, document).await,
            Self::Opa(opa) => opa.ask(tenant, document).await,
        }
    }

    fn rule(&self) -> &str {
        match self {
            Self::Rego(_) => rego::ALLOW,
            Self::Opa(opa) => opa.rule(),
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Rego(rego) => rego.name(),
            Self::Opa(opa) => opa.name(),
        }
    }
}

/// What one answer means.
fn judge(asked: &Asked, rule: &str, answer: &Result<Answer, Silence>) -> Result<Permit, Denied> {
    let rule = rule.to_owned();
    let method = asked.method.clone();
    let host = asked.url.host_str().unwrap_or_default().to_owned();
    match answer {
        Ok(answer) if answer.allow => Ok(Permit {
            private_addresses: answer.allow_private,
        }),
        Ok(_) => Err(Denied::ByRule { rule, method, host }),
        Err(_) => Err(Denied::Unanswered { rule, method, host }),
    }
}

#[cfg(test)]
#[path = "shares_tests.rs"]
mod shares_tests;
