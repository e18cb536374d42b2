//! Over HTTP: on which address, for whom.

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use clap::Args;

use super::auth;
use super::fault::Fault;
use super::raw::{Given, Said};
use super::resolve::{Resolver, malformed, number, switch, text};
use super::setting::Setting;
use super::{BIND_HOST_DEFAULT, Note, SHUTDOWN_GRACE_SECS_MAX, Transport};
use crate::http::{AllowedHosts, AllowedOrigins, HttpConfig, Surface, TlsFiles};
use crate::limits;

/// What means nothing to a server that does not listen.
const NEEDS_PORT: [Setting; 7] = [
    Setting::BindHost,
    Setting::AllowUnauthenticated,
    Setting::AllowedHosts,
    Setting::AllowedOrigins,
    Setting::TlsCert,
    Setting::TlsKey,
    Setting::ShutdownGrace,
];

const HTTP: &str = "HTTP";

/// The flags.
#[derive(Debug, Args)]
pub(super) struct HttpFlags {
    /// Serve HTTP on this port (0 to 65535; 0 for a free one), instead of standard input and output.
    ///
    /// MCP is at /mcp, the API below /api (its description at /api/openapi.json), and /healthz,
    /// /readyz and /metrics are for operators. Excludes --sse-port.
    #[arg(long, value_name = "PORT", help_heading = HTTP)]
    http_port: Option<OsString>,

    /// The same for clients that speak MCP's older transport: /sse and /message instead of /mcp.
    #[arg(long, value_name = "PORT", help_heading = HTTP)]
    sse_port: Option<OsString>,

    /// The IP address to listen on; 0.0.0.0 or :: for all of this machine.
    ///
    /// Any that other machines can reach needs --auth-tokens, --jwks-url or --jwks-file, or else
    /// --allow-unauthenticated.
    #[arg(long, value_name = "ADDRESS", help_heading = HTTP)]
    bind_host: Option<OsString>,

    /// Let whoever can reach the port run code, also from other machines.
    ///
    /// The server does not ask who calls. Say so where something in front of it does, or where
    /// everybody may.
    #[arg(long, value_name = "BOOL", help_heading = HTTP, num_args = 0..=1,
          require_equals = true, default_missing_value = "true")]
    allow_unauthenticated: Option<OsString>,

    /// The host names under which clients reach the server, separated by commas; * for any.
    ///
    /// localhost and the address that is listened on (any, where it listens on all) are always
    /// allowed. Other names are refused: a web page could otherwise reach a server on its reader's
    /// machine under a name of its own.
    #[arg(long, value_name = "NAMES", help_heading = HTTP)]
    allowed_hosts: Option<OsString>,

    /// The origins of web pages that may call the server, separated by commas.
    ///
    /// Such as `https://app.example.com`. Pages that the server is reached under
    /// the name of may always.
    #[arg(long, value_name = "ORIGINS", help_heading = HTTP)]
    allowed_origins: Option<OsString>,

    /// The file with the server's certificate and those above it (PEM); it then serves HTTPS.
    ///
    /// It is read again when it changes. Needs --tls-key.
    #[arg(long, value_name = "FILE", help_heading = HTTP)]
    tls_cert: Option<OsString>,

    /// The file with the private key of the certificate (PEM). Needs --tls-cert.
    #[arg(long, value_name = "FILE", help_heading = HTTP)]
    tls_key: Option<OsString>,

    /// How long what runs may go on when the server is asked to end, in seconds (0 to 3600).
    ///
    /// Nothing new is accepted meanwhile. What still runs then is cancelled. A second signal ends
    /// the server at once.
    #[arg(long, value_name = "SECONDS", help_heading = HTTP)]
    shutdown_grace: Option<OsString>,
}

impl HttpFlags {
    /// What each of them says.
    pub(super) fn values(self) -> [(Setting, Option<OsString>); 9] {
        [
            (Setting::HttpPort, self.http_port),
            (Setting::SsePort, self.sse_port),
            (Setting::BindHost, self.bind_host),
            (Setting::AllowUnauthenticated, self.allow_unauthenticated),
            (Setting::AllowedHosts, self.allowed_hosts),
            (Setting::AllowedOrigins, self.allowed_origins),
            (Setting::TlsCert, self.tls_cert),
            (Setting::TlsKey, self.tls_key),
            (Setting::ShutdownGrace, self.shutdown_grace),
        ]
    }
}

impl Resolver<'_> {
    pub(super) fn transport(&mut self, notes: &mut Vec<Note>) -> Transport {
        // Everything is read, so that everything that is wrong is reported.
        let streamable = self.value(Setting::HttpPort, None, |said| port(said).map(Some));
        let legacy = self.value(Setting::SsePort, None, |said| port(said).map(Some));
        let host = self.value(Setting::BindHost, BIND_HOST_DEFAULT, address);
        let is_open = self.value(Setting::AllowUnauthenticated, false, switch);
        let hosts = self.value(Setting::AllowedHosts, Vec::new(), |said| {
            list(said, "host names separated by commas, or *")
        });
        let origins = self.value(Setting::AllowedOrigins, Vec::new(), |said| {
            list(
                said,
                "origins of web pages separated by commas, such as https://app.example.com",
            )
        });
        let tls = self.tls();
        let auth = self.auth();
        for way in auth::WAYS.iter().filter(|_| is_open) {
            self.conflict(
                Setting::AllowUnauthenticated,
                *way,
                "where callers are known, nobody else is let in",
            );
        }
        let grace = self.number(
            Setting::ShutdownGrace,
            0..=SHUTDOWN_GRACE_SECS_MAX,
            " seconds",
            limits::SHUTDOWN_GRACE_DEFAULT.as_secs(),
        );
        self.conflict(
            Setting::HttpPort,
            Setting::SsePort,
            "a server has one port; start a second one for the other",
        );
        let is_asked = [Setting::HttpPort, Setting::SsePort].map(|port| self.origin(port));
        if is_asked.iter().all(Option::is_none) {
            for setting in NEEDS_PORT.into_iter().chain(auth::NEEDS_PORT) {
                self.need(
                    setting,
                    Setting::HttpPort,
                    "it is about HTTP, which is served with --http-port or --sse-port",
                );
            }
        }
        let (port, surface) = match (streamable, legacy) {
            (Some(port), _) => (port, Surface::Streamable),
            (None, Some(port)) => (port, Surface::Legacy),
            (None, None) => return Transport::Stdio,
        };
        if let Some(origin) = self.origin(Setting::BindHost)
            && !host.is_loopback()
        {
            match &auth {
                Some(_) if tls.is_none() => notes.push(Note::ReadableTokens { host }),
                Some(_) => {}
                None if is_open => notes.push(Note::Open { host }),
                None => self.faults.push(Fault::Exposed { origin, host }),
            }
        }
        Transport::Http(Box::new(HttpConfig {
            address: SocketAddr::new(host, port),
            surface,
            hosts: AllowedHosts::new(host, hosts),
            origins: AllowedOrigins::new(origins),
            tls,
            auth,
            shutdown_grace: Duration::from_secs(grace),
        }))
    }

    fn tls(&mut self) -> Option<TlsFiles> {
        let certificate = self.path(Setting::TlsCert);
        let key = self.path(Setting::TlsKey);
        for (setting, needed, reason) in [
            (
                Setting::TlsCert,
                Setting::TlsKey,
                "a certificate is of no use without its key",
            ),
            (
                Setting::TlsKey,
                Setting::TlsCert,
                "a key is of no use without its certificate",
            ),
        ] {
            self.need(setting, needed, reason);
        }
        Some(TlsFiles {
            certificate: certificate?,
            key: key?,
        })
    }
}

fn port(said: &Said) -> Result<u16, Fault> {
    let number = number(said, 0..=u64::from(u16::MAX), "")?;
    u16::try_from(number).map_err(|_| malformed(said, "a port"))
}

pub(super) fn address(said: &Said) -> Result<IpAddr, Fault> {
    let expected = "an IP address, such as 127.0.0.1, 0.0.0.0 or ::";
    let text = text(said, expected)?;
    text.trim().parse().map_err(|_| malformed(said, expected))
}

/// Texts between commas; in the file also an array of texts.
pub(super) fn list<T: FromStr>(said: &Said, expected: &str) -> Result<Vec<T>, Fault> {
    let wrong = || malformed(said, expected);
    let texts: Vec<&str> = match &said.given {
        Given::Toml(toml::Value::Array(values)) => values
            .iter()
            .map(|value| value.as_str().ok_or_else(wrong))
            .collect::<Result<_, _>>()?,
        _ => text(said, expected)?.split(',').collect(),
    };
    let parsed = texts.into_iter().map(|text| text.trim().parse());
    parsed.collect::<Result<_, _>>().map_err(|_| wrong())
}
