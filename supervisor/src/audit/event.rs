//! What is noted. No code, no values of headers, no queries of URLs, no output: hashes, names, numbers.

use jiff::Timestamp;
use serde::Serialize;

use crate::limits::AUDIT_TEXT_BYTES_MAX;

/// A line's content.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Entry {
    pub(super) time: String,
    #[serde(flatten)]
    pub(super) event: Event,
    /// How many such events the line stands for, where they are more than one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) times: Option<u64>,
}

impl Entry {
    pub(super) fn now(event: Event) -> Self {
        Self {
            time: Timestamp::now().to_string(),
            event,
            times: None,
        }
    }
}

/// Who has asked for something.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Actor {
    /// The tenant.
    pub tenant: String,
    /// The beginning of its token's hash, or what else tells its tokens apart; nothing where it has
    /// none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// How it has come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transport: Option<&'static str>,
}

/// What has happened.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The server was started.
    ServerStarted {
        /// Its version.
        version: &'static str,
        /// Its process.
        pid: u32,
        /// Bytes of an unfinished line that it has found at the end of the log and taken off.
        #[serde(skip_serializing_if = "is_zero")]
        torn_bytes: u64,
    },
    /// The server has ended, as it should.
    ServerStopped {},
    /// The configuration was read again.
    Reloaded {
        /// What of it.
        what: &'static str,
        /// Whether it counts from now on.
        is_accepted: bool,
    },
    /// An execution was accepted.
    ExecutionAccepted {
        /// By whom.
        #[serde(flatten)]
        actor: Actor,
        /// Its id.
        execution: String,
        /// SHA-256 of the code.
        code_sha256: String,
        /// The heap that it starts from.
        #[serde(skip_serializing_if = "Option::is_none")]
        input_heap: Option<String>,
        /// V8's heap, in MiB.
        heap_memory_max_mb: u64,
        /// The timeout, in seconds.
        execution_timeout_secs: u64,
    },
    /// An execution was refused.
    ExecutionRefused {
        /// To whom.
        #[serde(flatten)]
        actor: Actor,
        /// SHA-256 of the code, where it was read.
        #[serde(skip_serializing_if = "Option::is_none")]
        code_sha256: Option<String>,
        /// Why: a word of a short list.
        reason: &'static str,
    },
    /// An execution has ended.
    ExecutionEnded {
        /// Whose.
        tenant: String,
        /// Its id.
        execution: String,
        /// How.
        status: &'static str,
        /// The kind of failure.
        #[serde(skip_serializing_if = "Option::is_none")]
        error_kind: Option<&'static str>,
        /// The heap that it left.
        #[serde(skip_serializing_if = "Option::is_none")]
        output_heap: Option<String>,
        /// What it used.
        #[serde(flatten)]
        usage: EndUsage,
    },
    /// Somebody has asked for the end of an execution.
    CancelAsked {
        /// Who.
        #[serde(flatten)]
        actor: Actor,
        /// Its id.
        execution: String,
        /// Whether that ended it; nothing where that is not known.
        #[serde(skip_serializing_if = "Option::is_none")]
        is_cancelled: Option<bool>,
    },
    /// It was decided whether a script may make a request.
    RequestDecided {
        /// Whose.
        tenant: String,
        /// The execution.
        execution: String,
        /// The method.
        method: String,
        /// The scheme.
        scheme: String,
        /// The host.
        host: String,
        /// The port.
        port: Option<u16>,
        /// allowed, denied, unanswered or over_quota.
        verdict: &'static str,
        /// The rule that said no.
        #[serde(skip_serializing_if = "Option::is_none")]
        rule: Option<String>,
    },
    /// The tags of a heap were changed.
    TagsChanged {
        /// By whom.
        #[serde(flatten)]
        actor: Actor,
        /// The heap.
        heap: String,
        /// `set` or `delete`.
        change: &'static str,
        /// `unknown` where nobody knows whether they were.
        #[serde(skip_serializing_if = "Option::is_none")]
        outcome: Option<&'static str>,
    },
    /// Somebody could not say who it is.
    AuthenticationFailed {
        /// Where from: the last of them, where they are more than one.
        #[serde(skip_serializing_if = "Option::is_none")]
        peer: Option<String>,
        /// Why: a word of a short list.
        reason: &'static str,
        /// How it has come.
        transport: &'static str,
    },
    /// Somebody asked for more than its token is for.
    ScopeMissed {
        /// Who.
        #[serde(flatten)]
        actor: Actor,
        /// What the token would have to be for.
        scope: &'static str,
    },
    /// Events were not noted, because too many came at once.
    EventsLost {
        /// How many.
        count: u64,
    },
}

/// What an execution used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct EndUsage {
    /// From its start, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wall_ms: Option<u64>,
    /// CPU time, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_ms: Option<u64>,
    /// The most memory at once, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
    /// Output that was kept, in bytes.
    pub output_bytes: u64,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What makes events alike that are folded.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct FoldKey(Option<Actor>, &'static str);

impl Event {
    /// Events that anybody can bring about as often as it likes, by what makes them alike.
    pub(super) fn fold_key(&self) -> Option<FoldKey> {
        match self {
            Self::ExecutionRefused { actor, reason, .. } => {
                Some(FoldKey(Some(actor.clone()), reason))
            }
            Self::ScopeMissed { actor, scope } => Some(FoldKey(Some(actor.clone()), scope)),
            // Not by where it comes from: who has many addresses could wash the log away.
            Self::AuthenticationFailed { reason, .. } => Some(FoldKey(None, reason)),
            Self::ServerStarted { .. }
            | Self::ServerStopped {}
            | Self::Reloaded { .. }
            | Self::ExecutionAccepted { .. }
            | Self::ExecutionEnded { .. }
            | Self::CancelAsked { .. }
            | Self::RequestDecided { .. }
            | Self::TagsChanged { .. }
            | Self::EventsLost { .. } => None,
        }
    }
}

/// A text from outside, as long as it may be in a line.
pub(super) fn bounded(text: &str) -> String {
    text[..text.floor_char_boundary(AUDIT_TEXT_BYTES_MAX)].to_owned()
}
