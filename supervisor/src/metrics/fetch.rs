//! What the requests of scripts count, and the policies that are asked for them.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::by::{By, label};
use super::histogram::Histogram;

label! {
    /// What the policies said to a request.
    pub Decision, "decision":
        /// It may be made.
        Allowed = "allowed",
        /// It may not.
        Denied = "denied",
        /// One gave no answer, which is a no.
        Failed = "failed",
}

label! {
    /// Why an exchange failed.
    pub FetchFailure, "kind":
        /// The request is none.
        Malformed = "malformed",
        /// A limit of numbers or bytes.
        Limit = "limit",
        /// The policy.
        Denied = "denied",
        /// A header that was to be injected could not be had.
        Injection = "injection",
        /// A redirect that may not be followed.
        Redirect = "redirect",
        /// No address, or none that is allowed, or no connection.
        Unreachable = "unreachable",
        /// TLS.
        Tls = "tls",
        /// It took too long.
        Timeout = "timeout",
        /// The connection broke, or the answer is not HTTP.
        Broken = "broken",
        /// A mistake of this server.
        Internal = "internal",
}

/// What the requests of scripts count. Clones share it.
#[derive(Debug, Clone)]
pub struct FetchFigures {
    /// What policies said.
    pub decisions: By<Decision, Counter>,
    /// How long they took.
    pub decision_time: Histogram,
    /// Requests that went out: each hop is one.
    pub requests: Counter,
    /// Time until the head of an answer.
    pub head_time: Histogram,
    /// Exchanges that are under way.
    pub open: Gauge,
    /// Exchanges that failed.
    pub failures: By<FetchFailure, Counter>,
    /// Bytes of bodies that went out.
    pub sent_bytes: Counter,
    /// Bytes of bodies that came in, decoded.
    pub received_bytes: Counter,
}

impl Default for FetchFigures {
    fn default() -> Self {
        Self {
            decisions: By::default(),
            decision_time: Histogram::of_seconds(),
            requests: Counter::default(),
            head_time: Histogram::of_seconds(),
            open: Gauge::default(),
            failures: By::default(),
            sent_bytes: Counter::default(),
            received_bytes: Counter::default(),
        }
    }
}

impl FetchFigures {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "policy_decisions",
            "Requests of scripts that policies were asked for, by what they said",
            self.decisions.clone(),
        );
        registry.register(
            "policy_seconds",
            "Seconds that a decision of the policies took",
            self.decision_time.clone(),
        );
        registry.register(
            "fetch_requests",
            "Requests of scripts that went out, each hop of a redirect as one",
            self.requests.clone(),
        );
        registry.register(
            "fetch_head_seconds",
            "Seconds from a request until the head of its answer",
            self.head_time.clone(),
        );
        registry.register(
            "fetch_exchanges_open",
            "Requests of scripts that are under way",
            self.open.clone(),
        );
        registry.register(
            "fetch_failures",
            "Requests of scripts that failed, by kind",
            self.failures.clone(),
        );
        registry.register(
            "fetch_sent_bytes",
            "Bytes of bodies that requests of scripts sent",
            self.sent_bytes.clone(),
        );
        registry.register(
            "fetch_received_bytes",
            "Bytes of bodies that requests of scripts received, decoded",
            self.received_bytes.clone(),
        );
    }
}
