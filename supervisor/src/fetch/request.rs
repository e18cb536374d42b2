//! Checks a request again that a worker says its script made: pure.

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Uri};
use mcp_v8_protocol::fetch::{Header, Redirect, Request, RequestBody};
use mcp_v8_protocol::limits::{
    BODY_CHUNK_BYTES_MAX, HEADERS_BYTES_MAX, HEADERS_MAX, METHOD_BYTES_MAX, URL_BYTES_MAX,
};
use url::Url;

/// A request that may be asked for.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) method: Method,
    pub(super) target: Target,
    pub(super) headers: HeaderMap,
    pub(super) redirect: Redirect,
    pub(super) body: Body,
}

/// Where a request goes: one URL as two libraries read it, who agree on its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) url: Url,
    pub(super) uri: Uri,
}

/// What a request carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Body {
    None,
    Whole(Bytes),
    Stream { length: Option<u64> },
}

/// A request that nobody is asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("the method is not a token of at most {METHOD_BYTES_MAX} bytes")]
    Method,
    #[error("the method {0} is not allowed")]
    ForbiddenMethod(Method),
    #[error("a request with the method {0} has no body")]
    BodyNotAllowed(Method),
    #[error("the body is larger than {BODY_CHUNK_BYTES_MAX} bytes and was not sent as a stream")]
    OversizedBody,
    #[error(transparent)]
    Url(#[from] BadUrl),
    #[error("a header's name is not a token: {0:?}")]
    HeaderName(String),
    #[error("the value of the header {0} has control characters in it")]
    HeaderValue(HeaderName),
    #[error("there are more than {HEADERS_MAX} headers")]
    TooManyHeaders,
    #[error("the headers are larger than {HEADERS_BYTES_MAX} bytes")]
    OversizedHeaders,
}

/// A URL that no request goes to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadUrl {
    #[error("the URL is not absolute, or is malformed")]
    Malformed,
    #[error("the URL is longer than {URL_BYTES_MAX} bytes")]
    Oversized,
    #[error("the URL's scheme is {0}: only http and https can be fetched")]
    Scheme(String),
    #[error("the URL has a user name or a password in it; use the header Authorization")]
    Credentials,
    #[error("the URL's port {0} belongs to another protocol")]
    Port(u16),
}

/// Methods that the Fetch standard forbids.
const FORBIDDEN_METHODS: [&str; 3] = ["CONNECT", "TRACE", "TRACK"];

/// Methods that the Fetch standard has in upper case, however they are written.
const NORMAL_METHODS: [Method; 6] = [
    Method::DELETE,
    Method::GET,
    Method::HEAD,
    Method::OPTIONS,
    Method::POST,
    Method::PUT,
];

/// Headers that say how a message is framed and where its connection leads: ours to say.
const OUR_HEADERS: [HeaderName; 9] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::HOST,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];

/// The same of headers that begin so.
const OUR_PREFIXES: [&str; 2] = ["proxy-", "http2-"];

/// Headers by which some servers take one method for another.
const METHOD_OVERRIDES: [&str; 3] = [
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
];

/// The Fetch standard's ports of other protocols, whose servers would take a request for theirs.
const BAD_PORTS: [u16; 82] = [
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101,
    102, 103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427,
    465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990,
    993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667,
    6668, 6669, 6679, 6697,
];
/// The last of them.
const BAD_PORT_LAST: u16 = 10080;

/// Checks what a worker says.
pub(super) fn check(request: Request) -> Result<Checked, Malformed> {
    let method = method(&request.method)?;
    let target = Target::parse(&request.url)?;
    let headers = headers(request.headers)?;
    let body = match request.body {
        RequestBody::None => Body::None,
        RequestBody::Whole(bytes) if bytes.len() > BODY_CHUNK_BYTES_MAX => {
            return Err(Malformed::OversizedBody);
        }
        RequestBody::Whole(bytes) => Body::Whole(bytes.into()),
        RequestBody::Stream { length } => Body::Stream { length },
    };
    if body != Body::None && (method == Method::GET || method == Method::HEAD) {
        return Err(Malformed::BodyNotAllowed(method));
    }
    Ok(Checked {
        method,
        target,
        headers,
        redirect: request.redirect,
        body,
    })
}

fn method(text: &str) -> Result<Method, Malformed> {
    if text.len() > METHOD_BYTES_MAX {
        return Err(Malformed::Method);
    }
    let method = Method::from_bytes(text.as_bytes()).map_err(|_| Malformed::Method)?;
    let is = |other: &str| text.eq_ignore_ascii_case(other);
    if FORBIDDEN_METHODS.into_iter().any(is) {
        return Err(Malformed::ForbiddenMethod(method));
    }
    let normal = NORMAL_METHODS.into_iter().find(|known| is(known.as_str()));
    Ok(normal.unwrap_or(method))
}

fn headers(given: Vec<Header>) -> Result<HeaderMap, Malformed> {
    if given.len() > HEADERS_MAX {
        return Err(Malformed::TooManyHeaders);
    }
    let bytes: usize = given.iter().map(|h| h.name.len() + h.value.len()).sum();
    if bytes > HEADERS_BYTES_MAX {
        return Err(Malformed::OversizedHeaders);
    }
    let mut headers = HeaderMap::new();
    for Header { name, value } in given {
        let Ok(known) = HeaderName::from_bytes(name.as_bytes()) else {
            return Err(Malformed::HeaderName(name));
        };
        let value = HeaderValue::from_bytes(value.trim_ascii());
        let value = value.map_err(|_| Malformed::HeaderValue(known.clone()))?;
        if !is_ours(&known, &value) {
            headers.append(known, value);
        }
    }
    Ok(headers)
}

/// Whether a header is left out, as the Fetch standard leaves out those it forbids.
fn is_ours(name: &HeaderName, value: &HeaderValue) -> bool {
    let text = name.as_str();
    let overrides = || {
        let mut said = value.as_bytes().split(|byte| *byte == b',');
        said.any(|one| {
            let is = |method: &str| one.trim_ascii().eq_ignore_ascii_case(method.as_bytes());
            FORBIDDEN_METHODS.into_iter().any(is)
        })
    };
    OUR_HEADERS.contains(name)
        || OUR_PREFIXES.iter().any(|prefix| text.starts_with(prefix))
        || METHOD_OVERRIDES.contains(&text) && overrides()
}

impl Target {
    pub(super) fn parse(text: &str) -> Result<Self, BadUrl> {
        if text.len() > URL_BYTES_MAX {
            return Err(BadUrl::Oversized);
        }
        Self::new(Url::parse(text).map_err(|_| BadUrl::Malformed)?)
    }

    /// Its fragment is nobody's business.
    pub(super) fn new(mut url: Url) -> Result<Self, BadUrl> {
        url.set_fragment(None);
        if url.as_str().len() > URL_BYTES_MAX {
            return Err(BadUrl::Oversized);
        }
        if !matches!(url.scheme(), "http" | "https") {
            return Err(BadUrl::Scheme(url.scheme().to_owned()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(BadUrl::Credentials);
        }
        if let Some(port) = url.port()
            && (BAD_PORTS.contains(&port) || port == BAD_PORT_LAST)
        {
            return Err(BadUrl::Port(port));
        }
        let uri: Uri = url.as_str().parse().map_err(|_| BadUrl::Malformed)?;
        // Policy reads the one and the connection follows the other.
        let agree = uri.scheme_str() == Some(url.scheme())
            && uri.host() == url.host_str()
            && uri.port_u16() == url.port();
        if !agree {
            return Err(BadUrl::Malformed);
        }
        Ok(Self { url, uri })
    }

    /// The host, and its port where that is not the scheme's, for texts.
    pub(super) fn place(&self) -> &str {
        self.uri
            .authority()
            .map_or("", |authority| authority.as_str())
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
