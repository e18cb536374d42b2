//! The kinds of errors that programs can tell apart: names that never change, each with one status.

use axum::http::StatusCode;

/// A kind of error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ErrorCode {
    InvalidArgument,
    MalformedBody,
    BodyCutOff,
    BadHost,
    BadAuthorization,
    Unauthorized,
    Forbidden,
    InsufficientScope,
    ForeignHost,
    ForeignOrigin,
    NotFound,
    UnknownExecution,
    Gone,
    UnknownHeap,
    UnknownSession,
    NoLatestHeap,
    MethodNotAllowed,
    BodyTooSlow,
    NotRunning,
    RunsElsewhere,
    Stateless,
    BodyTooLarge,
    UnsupportedMediaType,
    HeapDamaged,
    HeapForeign,
    HeapIncompatible,
    HeapTooLarge,
    Overloaded,
    TenantFull,
    QuotaExceeded,
    Internal,
    /// As many requests, or as much of them, as the server has room for.
    Full,
    ShuttingDown,
    StoreUnavailable,
    AuditUnavailable,
    StillEnding,
    HeapsUnavailable,
    ClusterUnavailable,
    Undecided,
    NodeUnreachable,
    AuthorizationUnavailable,
}

impl ErrorCode {
    /// What any request may come to, whatever it asks for: most of it before the API sees it.
    pub(super) const OF_ANY: [Self; 18] = [
        Self::InvalidArgument,
        Self::BodyCutOff,
        Self::BadHost,
        Self::BadAuthorization,
        Self::Unauthorized,
        Self::AuthorizationUnavailable,
        Self::InsufficientScope,
        Self::ForeignHost,
        Self::ForeignOrigin,
        Self::BodyTooSlow,
        Self::BodyTooLarge,
        Self::Internal,
        Self::TenantFull,
        Self::Full,
        Self::ShuttingDown,
        Self::ClusterUnavailable,
        Self::Undecided,
        Self::NodeUnreachable,
    ];

    /// The name that programs look at.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::InvalidArgument => "invalid_argument",
            Self::MalformedBody => "malformed_request",
            Self::BodyCutOff => "body_cut_off",
            Self::BadHost => "bad_host",
            Self::BadAuthorization => "bad_authorization",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::InsufficientScope => "insufficient_scope",
            Self::ForeignHost => "foreign_host",
            Self::ForeignOrigin => "foreign_origin",
            Self::NotFound => "not_found",
            Self::UnknownExecution => "execution_not_found",
            Self::Gone => "gone",
            Self::UnknownHeap => "heap_not_found",
            Self::UnknownSession => "session_not_found",
            Self::NoLatestHeap => "no_latest_heap",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::BodyTooSlow => "body_too_slow",
            Self::NotRunning => "not_running",
            Self::RunsElsewhere => "runs_elsewhere",
            Self::Stateless => "stateless",
            Self::BodyTooLarge => "body_too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::HeapDamaged => "heap_damaged",
            Self::HeapForeign => "heap_foreign",
            Self::HeapIncompatible => "heap_incompatible",
            Self::HeapTooLarge => "heap_too_large",
            Self::Overloaded | Self::Full => "overloaded",
            Self::TenantFull => "tenant_full",
            Self::QuotaExceeded => "quota_exceeded",
            Self::Internal => "internal",
            Self::ShuttingDown => "shutting_down",
            Self::StoreUnavailable => "store_unavailable",
            Self::AuditUnavailable => "audit_unavailable",
            Self::StillEnding => "still_ending",
            Self::HeapsUnavailable => "heaps_unavailable",
            Self::ClusterUnavailable => "cluster_unavailable",
            Self::Undecided => "undecided",
            Self::NodeUnreachable => "node_unreachable",
            Self::AuthorizationUnavailable => "authorization_unavailable",
        }
    }

    /// The status that it comes with.
    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::InvalidArgument
            | Self::MalformedBody
            | Self::BodyCutOff
            | Self::BadHost
            | Self::BadAuthorization => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden | Self::InsufficientScope | Self::ForeignHost | Self::ForeignOrigin => {
                StatusCode::FORBIDDEN
            }
            Self::NotFound
            | Self::UnknownExecution
            | Self::UnknownHeap
            | Self::UnknownSession
            | Self::NoLatestHeap
            | Self::Stateless => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::NotRunning | Self::RunsElsewhere => StatusCode::CONFLICT,
            Self::Gone => StatusCode::GONE,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::HeapDamaged | Self::HeapForeign | Self::HeapIncompatible | Self::HeapTooLarge => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            Self::Overloaded | Self::TenantFull | Self::QuotaExceeded => {
                StatusCode::TOO_MANY_REQUESTS
            }
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Full
            | Self::ShuttingDown
            | Self::StoreUnavailable
            | Self::AuditUnavailable
            | Self::StillEnding
            | Self::HeapsUnavailable
            | Self::ClusterUnavailable
            | Self::Undecided
            | Self::NodeUnreachable
            | Self::AuthorizationUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// When it happens, in the words of the API's description.
    pub(super) const fn meaning(self) -> &'static str {
        match self {
            Self::InvalidArgument => {
                "an argument is missing, unknown or not allowed; all are named"
            }
            Self::MalformedBody => "the body is not a JSON object",
            Self::BodyCutOff => "the body ended early",
            Self::BadAuthorization => "the Authorization header is not one bearer token",
            Self::Unauthorized => "a valid token is needed",
            Self::Forbidden => "it is for operators",
            Self::InsufficientScope => "the token does not let its holder do this",
            Self::AuthorizationUnavailable => "tokens cannot be checked now",
            Self::BadHost => "the Host header is missing or malformed",
            Self::ForeignHost => "the server is not reached under this Host",
            Self::ForeignOrigin => "pages of this Origin may not call the server",
            Self::NotFound => "there is nothing at this path",
            Self::UnknownExecution => "no execution has this id, or it has expired",
            Self::Gone => "the node that ran the execution has left, with its output and code",
            Self::UnknownHeap => "no heap has this name, or it has expired",
            Self::UnknownSession => "no execution has completed with this session",
            Self::NoLatestHeap => "the session has no latest heap",
            Self::MethodNotAllowed => "the path has other methods",
            Self::BodyTooSlow => "the body took too long to come",
            Self::NotRunning => "the execution has ended already",
            Self::RunsElsewhere => "another server on the same directory runs the execution",
            Self::Stateless => "the server was started with --stateless, and keeps none of this",
            Self::BodyTooLarge => "the body is larger than 4 MiB",
            Self::UnsupportedMediaType => "the body is not sent as application/json",
            Self::HeapDamaged => "the heap is not as it was stored",
            Self::HeapForeign => "the heap is sealed for somebody else",
            Self::HeapIncompatible => "the heap was made by another build",
            Self::HeapTooLarge => "the heap is larger than a heap may be",
            Self::Overloaded => "every slot and every place in the queue is taken",
            Self::TenantFull => "the caller has as many executions, or as much in hand, as it may",
            Self::QuotaExceeded => "the caller has used up a quota; Retry-After says until when",
            Self::Internal => "the server failed; its log has the details",
            Self::Full => "the server has as many requests in hand as it allows",
            Self::ShuttingDown => "the server is shutting down",
            Self::StoreUnavailable => "the session database cannot be written now",
            Self::AuditUnavailable => "what happens cannot be noted in the audit log now",
            Self::StillEnding => "the execution was asked to end, and has not ended yet",
            Self::HeapsUnavailable => "the store of heaps cannot be reached now",
            Self::ClusterUnavailable => {
                "too few nodes of the cluster can be reached, or this one is behind"
            }
            Self::Undecided => "the cluster did not say whether it has made the change",
            Self::NodeUnreachable => "the node that runs the execution gives no answer now",
        }
    }
}
