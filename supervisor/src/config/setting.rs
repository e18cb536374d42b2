//! Everything that an operator can decide, by name.

use std::fmt;

/// One thing to decide. Its name is the flag without the two dashes and the key in the file; the
/// environment variable is derived from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Setting {
    /// Keep nothing between executions, nor beyond the life of the server.
    Stateless,
    /// The directory in which heaps are kept.
    DirectoryPath,
    /// The S3 bucket in which heaps are kept.
    S3Bucket,
    /// The directory of local copies of heaps in S3.
    CacheDir,
    /// How many MiB these copies may take.
    CacheMaxMb,
    /// The file with the key that heaps are sealed with.
    HeapKeyFile,
    /// How long heaps are kept that nothing needs, in hours.
    HeapRetentionHours,
    /// How many MiB the heaps that nothing needs may take.
    HeapRetentionMb,
    /// The directory in which executions and sessions are kept.
    SessionDbPath,
    /// How long ended executions are kept, in hours.
    ExecutionRetentionHours,
    /// How many ended executions are kept.
    ExecutionRetentionCount,
    /// How many MiB of results and output are kept.
    ExecutionRetentionMb,
    /// V8's heap of one execution, in MiB.
    HeapMemoryMax,
    /// The timeout of one execution, in seconds.
    ExecutionTimeout,
    /// Executions that run at once.
    MaxConcurrentExecutions,
    /// Executions that may wait for a slot.
    MaxQueuedExecutions,
    /// Executions of one tenant that run at once.
    TenantConcurrent,
    /// Executions of one tenant that wait.
    TenantQueued,
    /// Executions of one tenant that are accepted in a minute.
    TenantExecutionsPerMinute,
    /// CPU seconds of one tenant in an hour.
    TenantCpuSecondsPerHour,
    /// Requests of one tenant's scripts in a minute.
    TenantFetchesPerMinute,
    /// MiB of output of one tenant in an hour.
    TenantOutputMbPerHour,
    /// MiB of heaps that are stored for one tenant.
    TenantStoredHeapMb,
    /// The file of the audit log.
    AuditLog,
    /// The file with the key that its lines are chained with.
    AuditKeyFile,
    /// The size at which it is put aside, in MiB.
    AuditLogMaxMb,
    /// Files of it that are kept.
    AuditLogFiles,
    /// The port on which MCP and the API are served over HTTP.
    HttpPort,
    /// The port on which MCP's older transport over HTTP and the API are served.
    SsePort,
    /// The address that is listened on.
    BindHost,
    /// Serve whoever can connect, also from other machines.
    AllowUnauthenticated,
    /// The names under which the server is reached.
    AllowedHosts,
    /// The web pages that may call it.
    AllowedOrigins,
    /// The file with the certificate.
    TlsCert,
    /// The file with its private key.
    TlsKey,
    /// How long what runs may go on when the server is asked to end, in seconds.
    ShutdownGrace,
    /// The port on which other nodes of a cluster are heard.
    ClusterPort,
    /// The address of that port.
    ClusterBindHost,
    /// What this node is called.
    NodeId,
    /// Where other nodes reach it.
    AdvertiseAddr,
    /// The other first members of a new cluster.
    Peers,
    /// A member of the cluster to join.
    Join,
    /// Join without a vote.
    JoinAsLearner,
    /// Go on alone, without the members that are lost.
    ForceNewCluster,
    /// From one sign of life of a leader to the next, in milliseconds.
    HeartbeatInterval,
    /// The shortest time without one until another stands for election, in milliseconds.
    ElectionTimeoutMin,
    /// The longest.
    ElectionTimeoutMax,
    /// The file with this node's certificate.
    ClusterTlsCert,
    /// The file with its private key.
    ClusterTlsKey,
    /// The file with those who sign certificates of nodes.
    ClusterTlsCa,
    /// The file with the secret that all nodes have.
    ClusterSecretFile,
    /// Let anybody be a node.
    ClusterInsecure,
    /// Let anybody ask how the cluster stands.
    ClusterStatusPublic,
    /// The file of tokens.
    AuthTokens,
    /// Where the keys are that tokens are signed with.
    JwksUrl,
    /// The file with them.
    JwksFile,
    /// Who issues tokens.
    JwtIssuer,
    /// For whom tokens are.
    JwtAudience,
    /// How tokens may be signed.
    JwtAlgorithms,
    /// The claim that names the tenant.
    JwtTenantClaim,
    /// Whether tokens say what they are for.
    JwtScopes,
    /// The address under which clients reach the server.
    AuthResource,
    /// Who gives tokens for it.
    AuthServer,
    /// The directory with the policies for requests of scripts.
    PolicyDir,
    /// The OPA that is asked about requests of scripts.
    OpaUrl,
    /// The policy that it is asked for.
    OpaFetchPolicy,
    /// How long its decisions are remembered, in milliseconds.
    OpaCacheMs,
    /// Let requests of scripts go to private addresses.
    FetchAllowPrivate,
    /// Headers that requests of scripts get on their way out.
    FetchHeader,
    /// The file with more of them.
    FetchHeaderConfig,
    /// WebAssembly modules for scripts, by name.
    WasmModule,
    /// A file that lists more of them.
    WasmConfig,
    /// How much of a worker's jail must hold.
    Sandbox,
    /// How much of V8's machinery scripts get.
    EngineTier,
    /// How workers are started.
    WorkerStart,
    /// The program of the worker.
    WorkerPath,
    /// How much the log says.
    LogLevel,
    /// How its lines are written.
    LogFormat,
    /// The collector that traces are sent to.
    OtlpEndpoint,
    /// The file with headers for it.
    OtlpHeadersFile,
    /// The part of traces that is sent.
    OtlpSampleRatio,
}

/// The prefix of every environment variable that is read.
pub const VARIABLE_PREFIX: &str = "MCP_V8_";

/// Names the configuration file: the only variable that has no key in the file itself.
pub const CONFIG_VARIABLE: &str = "MCP_V8_CONFIG";

impl Setting {
    /// All of them, in the order of the help.
    pub const ALL: [Self; 81] = [
        Self::Stateless,
        Self::DirectoryPath,
        Self::S3Bucket,
        Self::CacheDir,
        Self::CacheMaxMb,
        Self::HeapKeyFile,
        Self::HeapRetentionHours,
        Self::HeapRetentionMb,
        Self::SessionDbPath,
        Self::ExecutionRetentionHours,
        Self::ExecutionRetentionCount,
        Self::ExecutionRetentionMb,
        Self::HeapMemoryMax,
        Self::ExecutionTimeout,
        Self::MaxConcurrentExecutions,
        Self::MaxQueuedExecutions,
        Self::TenantConcurrent,
        Self::TenantQueued,
        Self::TenantExecutionsPerMinute,
        Self::TenantCpuSecondsPerHour,
        Self::TenantFetchesPerMinute,
        Self::TenantOutputMbPerHour,
        Self::TenantStoredHeapMb,
        Self::AuditLog,
        Self::AuditKeyFile,
        Self::AuditLogMaxMb,
        Self::AuditLogFiles,
        Self::HttpPort,
        Self::SsePort,
        Self::BindHost,
        Self::AllowUnauthenticated,
        Self::AllowedHosts,
        Self::AllowedOrigins,
        Self::TlsCert,
        Self::TlsKey,
        Self::ShutdownGrace,
        Self::ClusterPort,
        Self::ClusterBindHost,
        Self::NodeId,
        Self::AdvertiseAddr,
        Self::Peers,
        Self::Join,
        Self::JoinAsLearner,
        Self::ForceNewCluster,
        Self::HeartbeatInterval,
        Self::ElectionTimeoutMin,
        Self::ElectionTimeoutMax,
        Self::ClusterTlsCert,
        Self::ClusterTlsKey,
        Self::ClusterTlsCa,
        Self::ClusterSecretFile,
        Self::ClusterInsecure,
        Self::ClusterStatusPublic,
        Self::AuthTokens,
        Self::JwksUrl,
        Self::JwksFile,
        Self::JwtIssuer,
        Self::JwtAudience,
        Self::JwtAlgorithms,
        Self::JwtTenantClaim,
        Self::JwtScopes,
        Self::AuthResource,
        Self::AuthServer,
        Self::PolicyDir,
        Self::OpaUrl,
        Self::OpaFetchPolicy,
        Self::OpaCacheMs,
        Self::FetchAllowPrivate,
        Self::FetchHeader,
        Self::FetchHeaderConfig,
        Self::WasmModule,
        Self::WasmConfig,
        Self::Sandbox,
        Self::EngineTier,
        Self::WorkerStart,
        Self::WorkerPath,
        Self::LogLevel,
        Self::LogFormat,
        Self::OtlpEndpoint,
        Self::OtlpHeadersFile,
        Self::OtlpSampleRatio,
    ];

    /// The name: `--name` on the command line, `name = ...` in the file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stateless => "stateless",
            Self::DirectoryPath => "directory-path",
            Self::S3Bucket => "s3-bucket",
            Self::CacheDir => "cache-dir",
            Self::CacheMaxMb => "cache-max-mb",
            Self::HeapKeyFile => "heap-key-file",
            Self::HeapRetentionHours => "heap-retention-hours",
            Self::HeapRetentionMb => "heap-retention-mb",
            Self::SessionDbPath => "session-db-path",
            Self::ExecutionRetentionHours => "execution-retention-hours",
            Self::ExecutionRetentionCount => "execution-retention-count",
            Self::ExecutionRetentionMb => "execution-retention-mb",
            Self::HeapMemoryMax => "heap-memory-max",
            Self::ExecutionTimeout => "execution-timeout",
            Self::MaxConcurrentExecutions => "max-concurrent-executions",
            Self::MaxQueuedExecutions => "max-queued-executions",
            Self::TenantConcurrent => "tenant-concurrent",
            Self::TenantQueued => "tenant-queued",
            Self::TenantExecutionsPerMinute => "tenant-executions-per-minute",
            Self::TenantCpuSecondsPerHour => "tenant-cpu-seconds-per-hour",
            Self::TenantFetchesPerMinute => "tenant-fetches-per-minute",
            Self::TenantOutputMbPerHour => "tenant-output-mb-per-hour",
            Self::TenantStoredHeapMb => "tenant-stored-heap-mb",
            Self::AuditLog => "audit-log",
            Self::AuditKeyFile => "audit-key-file",
            Self::AuditLogMaxMb => "audit-log-max-mb",
            Self::AuditLogFiles => "audit-log-files",
            Self::HttpPort => "http-port",
            Self::SsePort => "sse-port",
            Self::BindHost => "bind-host",
            Self::AllowUnauthenticated => "allow-unauthenticated",
            Self::AllowedHosts => "allowed-hosts",
            Self::AllowedOrigins => "allowed-origins",
            Self::TlsCert => "tls-cert",
            Self::TlsKey => "tls-key",
            Self::ShutdownGrace => "shutdown-grace",
            Self::ClusterPort => "cluster-port",
            Self::ClusterBindHost => "cluster-bind-host",
            Self::NodeId => "node-id",
            Self::AdvertiseAddr => "advertise-addr",
            Self::Peers => "peers",
            Self::Join => "join",
            Self::JoinAsLearner => "join-as-learner",
            Self::ForceNewCluster => "force-new-cluster",
            Self::HeartbeatInterval => "heartbeat-interval",
            Self::ElectionTimeoutMin => "election-timeout-min",
            Self::ElectionTimeoutMax => "election-timeout-max",
            Self::ClusterTlsCert => "cluster-tls-cert",
            Self::ClusterTlsKey => "cluster-tls-key",
            Self::ClusterTlsCa => "cluster-tls-ca",
            Self::ClusterSecretFile => "cluster-secret-file",
            Self::ClusterInsecure => "cluster-insecure",
            Self::ClusterStatusPublic => "cluster-status-public",
            Self::AuthTokens => "auth-tokens",
            Self::JwksUrl => "jwks-url",
            Self::JwksFile => "jwks-file",
            Self::JwtIssuer => "jwt-issuer",
            Self::JwtAudience => "jwt-audience",
            Self::JwtAlgorithms => "jwt-algorithms",
            Self::JwtTenantClaim => "jwt-tenant-claim",
            Self::JwtScopes => "jwt-scopes",
            Self::AuthResource => "auth-resource",
            Self::AuthServer => "auth-server",
            Self::PolicyDir => "policy-dir",
            Self::OpaUrl => "opa-url",
            Self::OpaFetchPolicy => "opa-fetch-policy",
            Self::OpaCacheMs => "opa-cache-ms",
            Self::FetchAllowPrivate => "fetch-allow-private",
            Self::FetchHeader => "fetch-header",
            Self::FetchHeaderConfig => "fetch-header-config",
            Self::WasmModule => "wasm-module",
            Self::WasmConfig => "wasm-config",
            Self::Sandbox => "sandbox",
            Self::EngineTier => "engine-tier",
            Self::WorkerStart => "worker-start",
            Self::WorkerPath => "worker-path",
            Self::LogLevel => "log-level",
            Self::LogFormat => "log-format",
            Self::OtlpEndpoint => "otlp-endpoint",
            Self::OtlpHeadersFile => "otlp-headers-file",
            Self::OtlpSampleRatio => "otlp-sample-ratio",
        }
    }

    /// The environment variable: `MCP_V8_` and the name in capitals.
    pub fn variable(self) -> String {
        let name = self.name().to_ascii_uppercase().replace('-', "_");
        format!("{VARIABLE_PREFIX}{name}")
    }

    /// The setting of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|setting| setting.name() == name)
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
