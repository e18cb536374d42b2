//! Who may call: requests that a web page makes on behalf of its reader, who knows nothing of it, are
//! refused.
//!
//! A browser says which page a request comes from (`Origin`), and under which name it has looked the
//! server up (`Host`). A page can point a name of its own at the address of a server that only its reader
//! can reach ("DNS rebinding"), but cannot make the browser say another name.

use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use axum::middleware::Next;
use axum::response::Response;
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::error_code::ErrorCode;
use super::refusal::Refusal;

/// How long a browser may remember what it may ask.
const PREFLIGHT_AGE: std::time::Duration = std::time::Duration::from_secs(3600);

/// Headers that pages may send: those of MCP and of the API.
const REQUEST_HEADERS: [HeaderName; 8] = [
    HeaderName::from_static("accept"),
    HeaderName::from_static("authorization"),
    HeaderName::from_static("content-type"),
    HeaderName::from_static("last-event-id"),
    HeaderName::from_static("mcp-method"),
    HeaderName::from_static("mcp-name"),
    HeaderName::from_static("mcp-protocol-version"),
    HeaderName::from_static("mcp-session-id"),
];

/// Headers that pages may read.
const RESPONSE_HEADERS: [HeaderName; 3] = [
    HeaderName::from_static("mcp-session-id"),
    HeaderName::from_static("retry-after"),
    HeaderName::from_static("www-authenticate"),
];

/// How the page that a request comes from stands to the server (W3C Fetch Metadata).
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Those that are pages of others.
const FOREIGN_SITES: [&str; 2] = ["cross-site", "same-site"];

/// What is no host, or no origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is malformed")]
pub struct Malformed;

/// A host name that the server is reached under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostPattern {
    /// Any.
    Any,
    /// This one, in lower case and without a port.
    Name(String),
}

impl FromStr for HostPattern {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let bare = text.parse::<IpAddr>();
        if let Ok(address) = bare {
            return Ok(Self::Name(address.to_string()));
        }
        let authority: Authority = text.parse().map_err(|_| Malformed)?;
        let is_name = authority.port().is_none() && !text.contains('@') && !text.contains('*');
        is_name
            .then(|| Self::Name(name(authority.host())))
            .ok_or(Malformed)
    }
}

/// The hosts that requests may name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedHosts {
    bound: IpAddr,
    listed: Vec<HostPattern>,
}

impl AllowedHosts {
    /// Of a server that listens on `bound`, and is reached under the names that are listed besides.
    pub fn new(bound: IpAddr, listed: Vec<HostPattern>) -> Self {
        Self { bound, listed }
    }

    /// Whether a request may name this host.
    fn allow(&self, authority: &Authority) -> bool {
        let host = name(authority.host());
        let is_own = match host.parse::<IpAddr>() {
            // No page can have a browser say an address that is not its own.
            Ok(address) => {
                address.is_loopback() || self.bound.is_unspecified() || address == self.bound
            }
            Err(_) => host == "localhost",
        };
        is_own || self.lists(authority)
    }

    /// Whether a host is one of those that were listed.
    fn lists(&self, authority: &Authority) -> bool {
        let host = name(authority.host());
        self.listed.iter().any(|pattern| match pattern {
            HostPattern::Any => true,
            HostPattern::Name(listed) => *listed == host,
        })
    }
}

/// A host in lower case, without brackets.
fn name(host: &str) -> String {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.to_ascii_lowercase()
}

/// Where a page comes from, as a browser says it (RFC 6454), with its port where that is the usual one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    scheme: Scheme,
    host: String,
    port: u16,
}

/// The schemes that pages are got by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
}

impl Scheme {
    /// The port that browsers leave out.
    const fn usual_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl FromStr for Origin {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let (scheme, authority) = text.split_once("://").ok_or(Malformed)?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err(Malformed),
        };
        let authority: Authority = authority.parse().map_err(|_| Malformed)?;
        let is_bare = is_whole(&authority) && !authority.as_str().contains(['@', '*']);
        is_bare
            .then(|| Self::of(scheme, &authority))
            .ok_or(Malformed)
    }
}

impl Origin {
    /// The origin of what is got from there.
    fn of(scheme: Scheme, authority: &Authority) -> Self {
        Self {
            scheme,
            host: name(authority.host()),
            port: authority.port_u16().unwrap_or(scheme.usual_port()),
        }
    }
}

/// The web pages that may call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AllowedOrigins(Vec<Origin>);

impl AllowedOrigins {
    /// These, and those that the server is reached under the name of.
    pub fn new(listed: Vec<Origin>) -> Self {
        Self(listed)
    }

    fn has(&self, origin: &Origin) -> bool {
        self.0.contains(origin)
    }
}

/// What a request must name and may come from.
#[derive(Debug, Clone)]
pub(super) struct Guard {
    pub(super) hosts: AllowedHosts,
    pub(super) origins: AllowedOrigins,
    /// Whether the server itself does TLS.
    pub(super) is_tls: bool,
}

impl Guard {
    /// Whether a page may call a server that the request calls `host`.
    fn allow(&self, origin: &HeaderValue, host: &Authority) -> bool {
        let origin = origin.to_str().ok().and_then(|text| text.parse().ok());
        origin.is_some_and(|origin| self.is_own(&origin, host) || self.origins.has(&origin))
    }

    /// Whether a page comes from this server: of the same host, port and scheme. Where something in
    /// front of it does TLS, only names that were listed are reached so.
    fn is_own(&self, origin: &Origin, host: &Authority) -> bool {
        let is_scheme = match origin.scheme {
            Scheme::Https => self.is_tls || self.hosts.lists(host),
            Scheme::Http => !self.is_tls,
        };
        is_scheme && *origin == Origin::of(origin.scheme, host)
    }

    /// What tells browsers who may call.
    pub(super) fn cors(&self) -> CorsLayer {
        let this = self.clone();
        let allowed = AllowOrigin::predicate(move |origin, parts| {
            let host = host(&parts.uri, &parts.headers);
            host.is_ok_and(|host| this.allow(origin, &host))
        });
        CorsLayer::new()
            .allow_origin(allowed)
            .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
            .allow_headers(REQUEST_HEADERS)
            .expose_headers(RESPONSE_HEADERS)
            .max_age(PREFLIGHT_AGE)
    }
}

/// Lets a request through, or refuses it.
pub(super) async fn check(
    State(guard): State<Arc<Guard>>,
    request: Request,
    next: Next,
) -> Response {
    match guard.judge(request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.response(),
    }
}

impl Guard {
    fn judge(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
        let host = host(uri, headers)?;
        if !self.hosts.allow(&host) {
            return Err(FOREIGN_HOST);
        }
        let mut origins = headers.get_all(ORIGIN).iter().peekable();
        // Without an origin: a picture or a script of a page, say, which a browser tells like this.
        let is_foreign = match origins.peek() {
            None => headers
                .get_all(FETCH_SITE)
                .iter()
                .any(|site| FOREIGN_SITES.iter().any(|foreign| site == foreign)),
            Some(_) => !origins.all(|origin| self.allow(origin, &host)),
        };
        if is_foreign {
            return Err(FOREIGN_ORIGIN);
        }
        Ok(())
    }
}

/// The host that a request names. Where the request line names one, the header must name the same.
fn host(uri: &Uri, headers: &HeaderMap) -> Result<Authority, Refusal> {
    let mut named = headers.get_all(HOST).iter();
    let (Some(header), None) = (named.next(), named.next()) else {
        return Err(NO_HOST);
    };
    let host: Authority = header
        .to_str()
        .ok()
        .filter(|host| !host.contains('@'))
        .and_then(|host| host.parse().ok())
        .filter(is_whole)
        .ok_or(NO_HOST)?;
    if uri.authority().is_some_and(|authority| *authority != host) {
        return Err(NO_HOST);
    }
    Ok(host)
}

/// Whether what follows the host, if anything, is a port.
fn is_whole(authority: &Authority) -> bool {
    authority.as_str() == authority.host() || authority.port_u16().is_some()
}

const NO_HOST: Refusal = Refusal {
    code: ErrorCode::BadHost,
    message: "a request names the host that it is for, in one Host header",
};

const FOREIGN_HOST: Refusal = Refusal {
    code: ErrorCode::ForeignHost,
    message: "this server is not reached under the name in the Host header; its operator can allow \
              it with --allowed-hosts",
};

const FOREIGN_ORIGIN: Refusal = Refusal {
    code: ErrorCode::ForeignOrigin,
    message: "web pages of this origin may not call this server; its operator can allow them with \
              --allowed-origins",
};

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
