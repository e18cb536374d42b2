//! Over HTTP: on which address, for whom.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

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
