//! What counts when nobody says anything, in words.

use super::auth::JWT_TENANT_CLAIM_DEFAULT;
use super::cluster;
use super::setting::Setting;
use crate::app::{EngineTier, SandboxMode, WorkerStart};
use crate::limits;
use crate::policy::OPA_FETCH_POLICY_DEFAULT;

/// The default, as the help shows it.
pub(super) fn shown(setting: Setting) -> String {
    match setting {
        Setting::Stateless
        | Setting::AllowUnauthenticated
        | Setting::JwtScopes
        | Setting::FetchAllowPrivate
        | Setting::JoinAsLearner
        | Setting::ForceNewCluster
        | Setting::ClusterInsecure
        | Setting::ClusterStatusPublic => "false".to_owned(),
        Setting::ClusterPort => "none: this server is alone".to_owned(),
        Setting::ClusterBindHost => super::BIND_HOST_DEFAULT.to_string(),
        Setting::NodeId => cluster::NODE_ID_DEFAULT.to_owned(),
        Setting::AdvertiseAddr => "--node-id with --cluster-port".to_owned(),
        Setting::HeartbeatInterval => cluster::HEARTBEAT_INTERVAL_DEFAULT.to_string(),
        Setting::ElectionTimeoutMin => cluster::ELECTION_TIMEOUT_MIN_DEFAULT.to_string(),
        Setting::ElectionTimeoutMax => cluster::ELECTION_TIMEOUT_MAX_DEFAULT.to_string(),
        Setting::DirectoryPath => super::DIRECTORY_PATH_DEFAULT.to_owned(),
        Setting::TenantConcurrent
        | Setting::TenantQueued
        | Setting::TenantExecutionsPerMinute
        | Setting::TenantCpuSecondsPerHour
        | Setting::TenantFetchesPerMinute
        | Setting::TenantOutputMbPerHour
        | Setting::TenantStoredHeapMb => "no bound of its own".to_owned(),
        Setting::AuditLog => "none: nothing is noted".to_owned(),
        Setting::AuditKeyFile => {
            format!("--audit-log with {} behind it", super::audit::KEY_NAME_END)
        }
        Setting::AuditLogMaxMb => limits::AUDIT_FILE_MB_DEFAULT.to_string(),
        Setting::AuditLogFiles => limits::AUDIT_FILES_DEFAULT.to_string(),
        Setting::S3Bucket
        | Setting::CacheDir
        | Setting::AllowedHosts
        | Setting::AllowedOrigins
        | Setting::TlsCert
        | Setting::TlsKey
        | Setting::JwksFile
        | Setting::JwtIssuer
        | Setting::JwtAudience
        | Setting::AuthResource
        | Setting::AuthServer
        | Setting::FetchHeader
        | Setting::FetchHeaderConfig
        | Setting::OtlpHeadersFile
        | Setting::WasmModule
        | Setting::Peers
        | Setting::Join
        | Setting::ClusterTlsCert
        | Setting::ClusterTlsKey
        | Setting::ClusterTlsCa
        | Setting::ClusterSecretFile
        | Setting::WasmConfig => "none".to_owned(),
        Setting::AuthTokens | Setting::JwksUrl => {
            "none: the server does not ask who calls".to_owned()
        }
        Setting::JwtAlgorithms => "RS256,ES256,EdDSA".to_owned(),
        Setting::JwtTenantClaim => JWT_TENANT_CLAIM_DEFAULT.to_owned(),
        Setting::PolicyDir | Setting::OpaUrl => "none: scripts make no requests".to_owned(),
        Setting::OpaFetchPolicy => OPA_FETCH_POLICY_DEFAULT.to_owned(),
        Setting::OpaCacheMs => "0: not at all".to_owned(),
        Setting::HttpPort | Setting::SsePort => "none: standard input and output".to_owned(),
        Setting::BindHost => super::BIND_HOST_DEFAULT.to_string(),
        Setting::ShutdownGrace => limits::SHUTDOWN_GRACE_DEFAULT.as_secs().to_string(),
        Setting::CacheMaxMb => (limits::HEAP_CACHE_BYTES_DEFAULT / super::BYTES_PER_MB).to_string(),
        Setting::HeapKeyFile => format!(
            "{} in --directory-path, with S3 in --session-db-path",
            super::HEAP_KEY_NAME
        ),
        Setting::HeapRetentionHours => {
            (limits::HEAP_RETENTION_AGE_DEFAULT.as_secs() / super::SECS_PER_HOUR).to_string()
        }
        Setting::HeapRetentionMb => {
            (limits::HEAP_RETENTION_BYTES_DEFAULT / super::BYTES_PER_MB).to_string()
        }
        Setting::SessionDbPath => super::SESSION_DB_PATH_DEFAULT.to_owned(),
        Setting::ExecutionRetentionHours => {
            (limits::RETENTION_AGE_DEFAULT.as_secs() / super::SECS_PER_HOUR).to_string()
        }
        Setting::ExecutionRetentionCount => limits::RETENTION_COUNT_DEFAULT.to_string(),
        Setting::ExecutionRetentionMb => {
            (limits::RETENTION_BYTES_DEFAULT / super::BYTES_PER_MB).to_string()
        }
        Setting::HeapMemoryMax => limits::HEAP_MEMORY_MB_DEFAULT.to_string(),
        Setting::ExecutionTimeout => limits::EXECUTION_TIMEOUT_SECS_DEFAULT.to_string(),
        Setting::MaxConcurrentExecutions => "the number of cores".to_owned(),
        Setting::MaxQueuedExecutions => limits::QUEUE_LENGTH_DEFAULT.to_string(),
        Setting::Sandbox => SandboxMode::default().to_string(),
        Setting::EngineTier => EngineTier::default().to_string(),
        Setting::WorkerStart => WorkerStart::default().name().to_owned(),
        Setting::WorkerPath => "mcp-v8-worker beside this program".to_owned(),
        Setting::LogLevel => "info".to_owned(),
        Setting::LogFormat => "text".to_owned(),
        Setting::OtlpEndpoint => "none: no traces are sent".to_owned(),
        Setting::OtlpSampleRatio => "1: all of them".to_owned(),
    }
}
