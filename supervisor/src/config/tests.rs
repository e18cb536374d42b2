//! Precedence, and all faults at once.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;

use super::*;
use crate::app::{GarbageOptions, State, StorePlace};
use crate::limits;
use crate::telemetry::LogLevel;

mod auth;
mod cluster;
mod fetch;
mod http;
mod state;
mod telemetry;
mod wasm_modules;

fn machine() -> Machine {
    Machine {
        cores: 6,
        user_id: 1000,
        program: Ok(PathBuf::from("/opt/mcp/mcp-v8")),
        owner: |_| None,
    }
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn try_load(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Command, Faults> {
    let arguments = std::iter::once("mcp-v8").chain(arguments.iter().copied());
    load(
        arguments.map(OsString::from),
        variables
            .iter()
            .map(|(name, value)| (name.into(), value.into())),
        &machine(),
    )
}

fn config(arguments: &[&str], variables: &[(&str, &str)]) -> Config {
    match try_load(arguments, variables) {
        Ok(Command::Serve(config)) => *config,
        Ok(Command::Show(text)) => panic!("shows {text}"),
        Ok(other) => panic!("{other:?}"),
        Err(faults) => panic!("{faults}"),
    }
}

fn faults(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    match try_load(arguments, variables) {
        Ok(command) => panic!("accepted: {command:?}"),
        Err(faults) => faults.to_string(),
    }
}

#[test]
fn defaults_without_anything_said() {
    let config = config(&[], &[]);
    let executions = config.executions;
    assert_eq!(executions.max_concurrent, 6);
    assert_eq!(executions.queue_length_max, 256);
    assert_eq!(executions.heap_memory_default_mb, 8);
    assert_eq!(executions.execution_timeout_default_secs, 30);
    assert_eq!(
        executions.worker_path,
        PathBuf::from("/opt/mcp/mcp-v8-worker")
    );
    assert_eq!(
        executions.state.store(),
        StorePlace::Directory(PathBuf::from("/tmp/mcp-v8-sessions"))
    );
    assert!(matches!(executions.state, State::Stateful { .. }));
    assert_eq!(config.log.level, LogLevel::Info);
    assert!(config.notes.is_empty());
}

#[test]
fn gc_takes_the_same_settings_on_either_side() {
    let options = |arguments: &[&str]| match try_load(arguments, &[]) {
        Ok(Command::CollectGarbage { config, options }) => (config.executions.state, options),
        other => panic!("{other:?}"),
    };
    let (state, plain) = options(&["gc"]);
    assert_eq!(plain, GarbageOptions::default());
    assert_eq!(state, config(&[], &[]).executions.state);
    let flags = ["--session-db-path", "/x/db", "--heap-retention-hours=5"];
    let (before, _) = options(&[&flags[..], &["gc"]].concat());
    let (behind, dry) = options(&[&["gc", "--dry-run"], &flags[..]].concat());
    assert_eq!(before, config(&flags, &[]).executions.state);
    assert_eq!(before, behind);
    assert!(dry.is_dry_run && !dry.is_sole_database);
    assert!(options(&["gc", "--sole-database"]).1.is_sole_database);
    let text = faults(&["gc", "--stateless"], &[]);
    assert!(
        text.contains("gc and --stateless exclude each other"),
        "{text}"
    );
    assert!(faults(&["gc", "--max-concurrent-executions", "2"], &[]).contains("unexpected"));
    assert!(faults(&["--dry-run"], &[]).contains("--dry-run"));
    match try_load(&["gc", "--help"], &[]) {
        Ok(Command::Show(text)) => {
            for word in ["--dry-run", "--directory-path", "MCP_V8_HEAP_RETENTION_MB"] {
                assert!(text.contains(word), "{text}");
            }
            assert!(!text.contains("--engine-tier"), "{text}");
            let minutes = limits::HEAP_GRACE.as_secs() / 60;
            assert!(
                text.contains(&format!("within {minutes} minutes")),
                "{text}"
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn flag_over_environment_over_file_over_default() {
    let file = file("heap-memory-max = 16\nexecution-timeout = 40\nmax-queued-executions = 7\n");
    let path = file.path().to_str().unwrap();
    let variables = [
        ("MCP_V8_HEAP_MEMORY_MAX", "32"),
        ("MCP_V8_EXECUTION_TIMEOUT", "50"),
        ("MCP_V8_CONFIG", path),
    ];
    let executions = config(&["--heap-memory-max", "64"], &variables).executions;
    assert_eq!(executions.heap_memory_default_mb, 64);
    assert_eq!(executions.execution_timeout_default_secs, 50);
    assert_eq!(executions.queue_length_max, 7);
    assert_eq!(executions.max_concurrent, 6);
}

const PORT: &str = "--http-port=1";
const KEYS: &str = "--jwks-url=https://y/k";
const ISSUER: &str = "--jwt-issuer=y";
const AUDIENCE: &str = "--jwt-audience=y";

#[test]
fn every_setting_can_be_said_in_all_three_ways() {
    let (module, list) = wasm_modules::files();
    let module = format!("math={}", module.path().display());
    let list = list.path().display().to_string();
    let [module_toml, list_toml] = [&module, &list].map(|text| format!("{text:?}"));
    let values = [
        ("stateless", "true", "true"),
        ("directory-path", "/x/heaps", "\"/x/heaps\""),
        ("s3-bucket", "heaps", "\"heaps\""),
        ("cache-dir", "/x/cache", "\"/x/cache\""),
        ("cache-max-mb", "11", "11"),
        ("heap-key-file", "/x/key", "\"/x/key\""),
        ("heap-retention-hours", "12", "12"),
        ("heap-retention-mb", "13", "13"),
        ("session-db-path", "/x/db", "\"/x/db\""),
        ("execution-retention-hours", "3", "3"),
        ("execution-retention-count", "4", "4"),
        ("execution-retention-mb", "5", "5"),
        ("heap-memory-max", "6", "6"),
        ("execution-timeout", "7", "7"),
        ("max-concurrent-executions", "8", "8"),
        ("max-queued-executions", "9", "9"),
        ("tenant-concurrent", "2", "2"),
        ("tenant-queued", "0", "0"),
        ("tenant-executions-per-minute", "60", "60"),
        ("tenant-cpu-seconds-per-hour", "600", "600"),
        ("tenant-fetches-per-minute", "30", "30"),
        ("tenant-output-mb-per-hour", "64", "64"),
        ("tenant-stored-heap-mb", "128", "128"),
        ("audit-log", "/x/audit.log", "\"/x/audit.log\""),
        ("audit-key-file", "/x/audit.key", "\"/x/audit.key\""),
        ("audit-log-max-mb", "16", "16"),
        ("audit-log-files", "17", "17"),
        ("http-port", "10", "10"),
        ("sse-port", "10", "10"),
        ("bind-host", "127.0.0.9", "\"127.0.0.9\""),
        ("allow-unauthenticated", "true", "true"),
        ("allowed-hosts", "x.example", "\"x.example\""),
        (
            "allowed-origins",
            "https://x.example",
            "[\"https://x.example\"]",
        ),
        ("tls-cert", "/x/cert", "\"/x/cert\""),
        ("tls-key", "/x/key", "\"/x/key\""),
        ("shutdown-grace", "14", "14"),
        ("auth-tokens", "/x/tokens", "\"/x/tokens\""),
        ("jwks-url", "https://x/k", "\"https://x/k\""),
        ("jwks-file", "/x/keys", "\"/x/keys\""),
        ("jwt-issuer", "x", "\"x\""),
        ("jwt-audience", "x", "\"x\""),
        ("jwt-algorithms", "ES384", "\"ES384\""),
        ("jwt-tenant-claim", "org", "\"org\""),
        ("jwt-scopes", "true", "true"),
        ("auth-resource", "https://x/mcp", "\"https://x/mcp\""),
        ("auth-server", "https://x", "[\"https://x\"]"),
        ("policy-dir", "/x/policies", "\"/x/policies\""),
        (
            "opa-url",
            "http://127.0.0.1:8181",
            "\"http://127.0.0.1:8181\"",
        ),
        ("opa-fetch-policy", "other/fetch", "\"other/fetch\""),
        ("opa-cache-ms", "15", "15"),
        ("fetch-allow-private", "true", "true"),
        (
            "fetch-header",
            "host=x.example,header=x-a,value=b,c=d",
            "[\"host=x.example,header=x-a,value=b,c=d\"]",
        ),
        ("fetch-header-config", "/x/headers", "\"/x/headers\""),
        ("wasm-module", &module, &module_toml),
        ("wasm-config", &list, &list_toml),
        ("sandbox", "best-effort", "\"best-effort\""),
        ("engine-tier", "jitless", "\"jitless\""),
        ("worker-start", "exec", "\"exec\""),
        ("worker-path", "/x/worker", "\"/x/worker\""),
        ("log-level", "debug", "\"debug\""),
        ("log-format", "json", "\"json\""),
        ("otlp-endpoint", "http://x:4318", "\"http://x:4318\""),
        ("otlp-headers-file", "/x/headers", "\"/x/headers\""),
        ("otlp-sample-ratio", "0.5", "0.5"),
    ];
    let values = values.into_iter().chain(cluster::VALUES);
    assert_eq!(values.clone().count(), Setting::ALL.len());
    for (name, text, toml) in values {
        let setting = Setting::from_name(name).unwrap();
        let needed: &[&str] = match setting {
            Setting::AuditKeyFile | Setting::AuditLogMaxMb | Setting::AuditLogFiles => {
                &["--audit-log=/x"]
            }
            Setting::CacheDir => &["--s3-bucket=x"],
            Setting::CacheMaxMb => &["--s3-bucket=x", "--cache-dir=/x"],
            Setting::BindHost
            | Setting::AllowUnauthenticated
            | Setting::AllowedHosts
            | Setting::AllowedOrigins
            | Setting::ShutdownGrace => &["--http-port=1"],
            Setting::AuthTokens => &["--http-port=1"],
            Setting::JwksUrl | Setting::JwksFile => &[PORT, ISSUER, AUDIENCE],
            Setting::JwtIssuer => &[PORT, KEYS, AUDIENCE],
            Setting::JwtAudience => &[PORT, KEYS, ISSUER],
            Setting::JwtAlgorithms | Setting::JwtTenantClaim | Setting::JwtScopes => {
                &[PORT, KEYS, ISSUER, AUDIENCE]
            }
            Setting::AuthResource => &[PORT, "--auth-tokens=/y", "--auth-server=https://y"],
            Setting::AuthServer => &[PORT, "--auth-tokens=/y", "--auth-resource=https://y"],
            Setting::TlsCert => &["--http-port=1", "--tls-key=/x"],
            Setting::TlsKey => &["--http-port=1", "--tls-cert=/x"],
            Setting::OpaFetchPolicy | Setting::OpaCacheMs => &["--opa-url=http://x"],
            Setting::FetchAllowPrivate | Setting::FetchHeader | Setting::FetchHeaderConfig => {
                &["--policy-dir=/x"]
            }
            _ if cluster::VALUES.iter().any(|value| value.0 == name) => cluster::needed(setting),
            Setting::OtlpHeadersFile | Setting::OtlpSampleRatio => &["--otlp-endpoint=http://x"],
            _ => &[],
        };
        let with =
            |more: &[&str], variables: &[(&str, &str)]| config(&[needed, more].concat(), variables);
        let flag = format!("--{name}={text}");
        let by_flag = with(&[&flag], &[]);
        let by_variable = with(&[], &[(&setting.variable(), text)]);
        let file = file(&format!("{name} = {toml}\n"));
        let by_file = with(&["--config", file.path().to_str().unwrap()], &[]);
        let default = match setting {
            Setting::TlsCert
            | Setting::TlsKey
            | Setting::JwksUrl
            | Setting::JwksFile
            | Setting::JwtIssuer
            | Setting::JwtAudience
            | Setting::AuthResource
            | Setting::AuthServer => config(&["--http-port=1"], &[]),
            Setting::ClusterTlsCert
            | Setting::ClusterTlsKey
            | Setting::ClusterTlsCa
            | Setting::ClusterInsecure => config(&cluster::NODE, &[]),
            _ => with(&[], &[]),
        };
        // But for where it was said.
        let shown = |config: &Config| {
            let said = raw::Raw::default();
            format!(
                "{:?}",
                Config {
                    said,
                    ..config.clone()
                }
            )
        };
        assert_eq!(shown(&by_flag), shown(&by_variable), "{name}");
        assert_eq!(shown(&by_flag), shown(&by_file), "{name}");
        // This one allows what is otherwise a fault.
        if setting != Setting::AllowUnauthenticated {
            assert_ne!(shown(&by_flag), shown(&default), "{name} has an effect");
        }
    }
}

#[test]
fn all_faults_are_reported_at_once_with_their_places() {
    let file = file("execution-timeout = \"long\"\nheap = 3\nstateless = 1\n");
    let path = file.path().to_str().unwrap();
    let text = faults(
        &["--heap-memory-max", "65", "--config", path],
        &[
            ("MCP_V8_MAX_CONCURRENT_EXECUTIONS", "many"),
            ("MCP_V8_LOG_LEVEL", "loud"),
        ],
    );
    for part in [
        "--heap-memory-max: 65 is out of range; allowed: 1 to 64 MB",
        "MCP_V8_MAX_CONCURRENT_EXECUTIONS (environment): \"many\" is not a whole number",
        "MCP_V8_LOG_LEVEL (environment): \"loud\" is not one of off",
        &format!("execution-timeout in {path}: \"long\" is not a whole number from 1 to 300"),
        &format!("stateless in {path}: 1 is not true or false"),
        &format!("{path}: unknown key \"heap\"; valid keys: stateless, directory-path, s3-bucket"),
    ] {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
    assert_eq!(text.matches("\n  - ").count(), 6, "{text}");
}

#[test]
fn a_flag_that_does_not_exist_does_not_hide_the_other_faults() {
    let text = faults(
        &[
            "--heap-memory-maxx",
            "--execution-timeout",
            "0",
            "--foo=3",
            "stray",
        ],
        &[("MCP_V8_HEAP_MEMORY_MAX", "-1")],
    );
    for part in [
        "unexpected argument '--heap-memory-maxx' found; did you mean --heap-memory-max?",
        "unexpected argument '--foo' found",
        "unrecognized subcommand 'stray'",
        "--execution-timeout: 0 is out of range",
        "MCP_V8_HEAP_MEMORY_MAX (environment): -1 is out of range",
    ] {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
    let text = faults(&["--execution-timeout", "--heap-memory-max", "0"], &[]);
    assert!(
        text.contains("a value is required for '--execution-timeout <SECONDS>'"),
        "{text}"
    );
    let text = faults(&["--heap-memory-max=1", "--heap-memory-max=2"], &[]);
    assert!(text.contains("cannot be used multiple times"), "{text}");
}

#[test]
fn bounds_are_exact() {
    for (flag, least, most) in [
        ("--heap-memory-max", 1, 64),
        ("--execution-timeout", 1, 300),
        ("--max-concurrent-executions", 1, 1024),
        ("--max-queued-executions", 0, 10_000),
        ("--execution-retention-hours", 1, 87_600),
        ("--execution-retention-count", 1, 10_000_000),
        ("--execution-retention-mb", 1, 1 << 20),
        ("--heap-retention-hours", 1, 87_600),
        ("--heap-retention-mb", 1, 1 << 20),
        ("--opa-cache-ms", 0, 60_000),
    ] {
        for good in [least, most] {
            config(&[&format!("{flag}={good}"), "--opa-url=http://x"], &[]);
        }
        for bad in [
            i128::from(least) - 1,
            i128::from(most) + 1,
            i128::from(u64::MAX) + 1,
        ] {
            let text = faults(&[&format!("{flag}={bad}")], &[]);
            assert!(text.contains("is out of range"), "{text}");
        }
    }
}

#[test]
fn a_bad_value_counts_only_where_it_is_the_one_that_counts() {
    let executions = config(
        &["--execution-timeout", "9"],
        &[("MCP_V8_EXECUTION_TIMEOUT", "x")],
    )
    .executions;
    assert_eq!(executions.execution_timeout_default_secs, 9);
}

#[test]
fn an_unknown_variable_is_only_noted_and_an_empty_one_is_nothing() {
    let config = config(
        &[],
        &[
            ("MCP_V8_HEEP", "1"),
            ("MCP_V8_EXECUTION_TIMEOUT", ""),
            ("OTHER", "x"),
        ],
    );
    assert_eq!(
        config.notes,
        [Note::UnknownVariable {
            name: "MCP_V8_HEEP".to_owned()
        }]
    );
}

#[test]
fn a_file_that_cannot_be_used_is_named() {
    let missing = faults(&["--config", "/does/not/exist.toml"], &[]);
    assert!(
        missing.contains("--config: cannot read /does/not/exist.toml"),
        "{missing}"
    );
    let file = file("heap-memory-max = \n");
    let path = file.path().to_str().unwrap();
    let broken = faults(&[], &[("MCP_V8_CONFIG", path)]);
    assert!(broken.contains(&format!("{path} is not TOML")), "{broken}");
    assert!(broken.contains("line 1"), "{broken}");
}

#[test]
fn the_jail_is_shown_as_it_would_be_taken() {
    let asked = ["--check-sandbox", "--sandbox", "best-effort"];
    let Ok(Command::CheckSandbox {
        worker_path, jail, ..
    }) = try_load(&asked, &[])
    else {
        panic!("no check");
    };
    assert_eq!(worker_path, PathBuf::from("/opt/mcp/mcp-v8-worker"));
    assert_eq!(jail.sandbox, crate::app::SandboxMode::BestEffort);
    let wrong = faults(&["--sandbox", "none", "--engine-tier=fast"], &[]);
    assert!(
        wrong.contains("--sandbox: \"none\" is not required or best-effort"),
        "{wrong}"
    );
    assert!(
        wrong.contains("--engine-tier: \"fast\" is not one of"),
        "{wrong}"
    );
}

#[test]
fn help_and_version_win() {
    let Ok(Command::Show(help)) = try_load(&["--heap-memory-max", "999", "--help"], &[]) else {
        panic!("no help");
    };
    for part in [
        "Storage:",
        "Limits:",
        "Security:",
        "Operation:",
        "Examples:",
        "[env: MCP_V8_STATELESS]",
    ] {
        assert!(help.contains(part), "{part:?} is not in:\n{help}");
    }
    let Ok(Command::Show(version)) = try_load(&["--version"], &[]) else {
        panic!("no version");
    };
    assert_eq!(
        version.trim(),
        concat!("mcp-v8 ", env!("CARGO_PKG_VERSION"))
    );
}
