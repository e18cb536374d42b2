//! Who may do what: every effect of a script is asked for here first. Default deny.

use http::{HeaderMap, Method};
use url::Url;

use crate::heaps::Tenant;

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

/// The policies of this server. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Policy {}

impl Policy {
    /// Asks every policy that is configured; all must allow.
    ///
    /// # Errors
    /// [`Denied`] when one says no or gives no answer in time.
    pub async fn decide(&self, asked: &Asked) -> Result<Permit, Denied> {
        Err(Denied::Unanswered {
            rule: "data.mcp.fetch.allow".to_owned(),
            method: asked.method.clone(),
            host: asked.url.host_str().unwrap_or_default().to_owned(),
        })
    }
}
