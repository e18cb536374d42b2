//! The servers that are soaked, and what stands around them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use e2e::home::{Home, program};
use e2e::http::HttpServer;
use e2e::web::Web;

use crate::tenants::Crowd;

/// Lets scripts ask this machine by its address, but for one method.
const POLICY: &str = r#"package mcp.fetch

default allow := false

allow if {
    input.url_parsed.host == "127.0.0.1"
    input.method != "DELETE"
}
"#;

/// What both servers are told. Of ended executions so few are kept that old ones go within minutes.
const ARGUMENTS: [&str; 13] = [
    "--http-port",
    "0",
    "--max-concurrent-executions",
    "8",
    "--execution-retention-count",
    "1000",
    "--execution-retention-mb",
    "64",
    "--audit-log-max-mb",
    "4096",
    "--fetch-allow-private",
    "--log-level",
    "info",
];

/// A server.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) name: &'static str,
    pub(crate) server: HttpServer,
    pub(crate) audit: PathBuf,
    /// Where it keeps heaps, if it does.
    pub(crate) heaps: Option<PathBuf>,
}

/// All of it.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) servers: [Served; 2],
    pub(crate) crowd: Crowd,
    pub(crate) web: Web,
    pub(crate) home: Home,
}

impl Scene {
    /// Starts everything, for a soak of this length.
    pub(crate) fn set(length: Duration) -> Self {
        let home = Home::new();
        let crowd = Crowd::gather(length);
        let tokens = home.path("tokens.toml");
        fs::write(&tokens, &crowd.file).expect("a file in our own directory");
        fs::set_permissions(&tokens, fs::Permissions::from_mode(0o600)).expect("it is ours");
        let policies = home.path("policies");
        fs::create_dir(&policies).expect("a directory in our own");
        fs::write(policies.join("fetch.rego"), POLICY).expect("a file in our own directory");
        let heaps = home.path("heaps");
        let start = |name: &'static str, kept: &[&Path], heaps| {
            let audit = home.path(&format!("audit-{name}/audit.log"));
            let mut command = home.command();
            command
                .arg("--worker-path")
                .arg(home.path("mcp-v8-worker"))
                .arg("--auth-tokens")
                .arg(&tokens)
                .arg("--policy-dir")
                .arg(&policies)
                .arg("--audit-log")
                .arg(&audit)
                .args(kept)
                .args(ARGUMENTS);
            Served {
                name,
                server: HttpServer::spawn(command),
                audit,
                heaps,
            }
        };
        let data = home.path("data");
        let kept = [
            Path::new("--session-db-path"),
            &data,
            Path::new("--directory-path"),
            &heaps,
            // Of heaps that nothing needs so few are kept that they go within minutes too.
            Path::new("--heap-retention-mb"),
            Path::new("16"),
        ];
        let servers = [
            start("stateful", &kept, Some(heaps.clone())),
            start("stateless", &[Path::new("--stateless")], None),
        ];
        Self {
            servers,
            crowd,
            web: Web::start(),
            home,
        }
    }
}

impl Served {
    /// Whether its audit log is what was written; what the program says of it.
    pub(crate) fn verify(&self) -> Result<String, String> {
        let mut command = Command::new(program("mcp-v8"));
        command
            .args(["audit", "verify", "--audit-log"])
            .arg(&self.audit)
            .env_clear();
        let output = command.output().expect("the program can be executed");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(text(&output.stderr))
        }
    }
}
