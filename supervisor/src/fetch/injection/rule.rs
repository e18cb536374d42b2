//! One rule: which requests get which headers.

use http::{HeaderName, Method};
use url::Url;

use super::host::{HostError, HostPattern};
use super::value::{Template, ValueError};
use super::ways::Ways;
use crate::tenant::{MalformedTenant, Tenant};

/// Headers that say how a message travels, or where to: they are the supervisor's.
const FORBIDDEN: [&str; 13] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The names of the fields in a rule on the command line.
const FIELDS: [&str; 7] = [
    "host", "header", "value", "methods", "scheme", "port", "tenant",
];

/// A rule as it was written: its values have not been looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderRule {
    pub(super) tenant: Option<Tenant>,
    pub(super) host: HostPattern,
    pub(super) methods: Methods,
    pub(super) ways: Ways,
    pub(super) gives: Gives,
}

/// What a rule gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Gives {
    Headers(Vec<(HeaderName, Template)>),
    Token(TokenOptions),
}

/// Where a token for `authorization` comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TokenOptions {
    pub(super) url: Url,
    pub(super) client_id: Template,
    pub(super) client_secret: Template,
    pub(super) scope: Option<String>,
}

/// The methods that a rule is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Methods {
    All,
    Only(Vec<Method>),
}

/// What is wrong with a rule. What was written is not shown: it may be a secret, also in the wrong place.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// It does not begin with a field.
    #[error(
        "it is not host=...,header=...,value=...[,methods=GET;POST][,scheme=http;https][,port=8443]\
         [,tenant=NAME]"
    )]
    Malformed,
    /// A field is missing.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A field is there twice.
    #[error(
        "{0} is said twice; a value that holds \",{0}=\" must come from ${{NAME}} or ${{file:/path}}"
    )]
    Twice(&'static str),
    /// The host is none.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The methods are none.
    #[error("methods are not names of methods, as GET")]
    Methods,
    /// The schemes are none.
    #[error("scheme is not http, https or both")]
    Scheme,
    /// The ports are none.
    #[error("port is not a number from 1 to 65535, or several")]
    Port,
    /// The tenant is none.
    #[error("tenant: {0}")]
    Tenant(#[from] MalformedTenant),
    /// The header is none.
    #[error("the header is not the name of a header, as x-api-key")]
    Header,
    /// The header may not be given.
    #[error("the header {0} is the server's own and cannot be given")]
    Forbidden(HeaderName),
    /// The value is none.
    #[error("the header {header}: {problem}")]
    Value {
        /// Which header.
        header: HeaderName,
        /// What is wrong.
        problem: ValueError,
    },
    /// A part of an OAuth rule is none.
    #[error("oauth: {field}: {problem}")]
    Client {
        /// Which part.
        field: &'static str,
        /// What is wrong.
        problem: ValueError,
    },
    /// The server of tokens is none.
    #[error(
        "oauth: token_url is not an http or https URL without user, password, query and fragment"
    )]
    TokenUrl,
    /// Something in the file is not what belongs there.
    #[error("{field} is not {expected}")]
    Shape {
        /// Where.
        field: &'static str,
        /// What would be right.
        expected: &'static str,
    },
    /// A key in the file means nothing.
    #[error("unknown key \"{0}\"; valid keys: {1}")]
    UnknownKey(String, &'static str),
    /// Nothing is given.
    #[error("it gives nothing: headers or oauth is missing")]
    Nothing,
}

impl HeaderRule {
    /// Reads `host=..,header=..,value=..[,methods=GET;POST][,scheme=http;https][,port=8443][,tenant=NAME]`, in
    /// any order. At a comma only one of these names begins a new field: values may hold commas and equals signs.
    ///
    /// # Errors
    /// [`RuleError`], which does not show what was written.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        let fields = fields(text)?;
        let one = |name: &'static str| {
            let mut found = fields.iter().filter(|(field, _)| *field == name);
            match (found.next(), found.next()) {
                (Some(_), Some(_)) => Err(RuleError::Twice(name)),
                (first, _) => Ok(first.map(|(_, value)| *value)),
            }
        };
        let needed = |name| one(name)?.ok_or(RuleError::Missing(name));
        let [host, header, value] = [needed("host")?, needed("header")?, needed("value")?];
        let methods = match one("methods")? {
            Some(names) => Methods::parse(names.split(';'))?,
            None => Methods::All,
        };
        let mut ways = Ways::default();
        if let Some(names) = one("scheme")? {
            ways = ways.with_schemes(names.split(';'))?;
        }
        if let Some(numbers) = one("port")? {
            let numbers = numbers.split(';').map(|number| number.trim().parse().ok());
            ways = ways.with_ports(numbers)?;
        }
        Ok(Self {
            tenant: one("tenant")?.map(str::parse).transpose()?,
            host: HostPattern::parse(host.trim())?,
            methods,
            ways,
            gives: Gives::Headers(vec![header_of(header.trim(), value)?]),
        })
    }
}

/// A header that may be given, with its value.
pub(super) fn header_of(name: &str, value: &str) -> Result<(HeaderName, Template), RuleError> {
    let header: HeaderName = name.parse().map_err(|_| RuleError::Header)?;
    if FORBIDDEN.contains(&header.as_str()) {
        return Err(RuleError::Forbidden(header));
    }
    match Template::parse(value) {
        Ok(template) => Ok((header, template)),
        Err(problem) => Err(RuleError::Value { header, problem }),
    }
}

/// The fields in their order.
fn fields(text: &str) -> Result<Vec<(&'static str, &str)>, RuleError> {
    let begins = |rest: &str| {
        FIELDS.into_iter().find(|name| {
            let rest = rest.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with('='))
        })
    };
    let mut fields = Vec::new();
    let mut current = begins(text).ok_or(RuleError::Malformed)?;
    let mut rest = text.get(current.len() + 1..).unwrap_or_default();
    let mut from = 0;
    while let Some(comma) = rest.get(from..).and_then(|rest| rest.find(',')) {
        let comma = from + comma;
        let (value, behind) = (rest.get(..comma), rest.get(comma + 1..));
        let (value, behind) = (value.unwrap_or_default(), behind.unwrap_or_default());
        match begins(behind) {
            Some(next) => {
                fields.push((current, value));
                current = next;
                rest = behind.get(next.len() + 1..).unwrap_or_default();
                from = 0;
            }
            None => from = comma + 1,
        }
    }
    fields.push((current, rest));
    Ok(fields)
}

impl Methods {
    /// Small letters are as good as capitals.
    pub(super) fn parse<'a>(names: impl Iterator<Item = &'a str>) -> Result<Self, RuleError> {
        let method = |name: &str| {
            let name = name.trim().to_ascii_uppercase();
            Method::from_bytes(name.as_bytes()).map_err(|_| RuleError::Methods)
        };
        let methods = names.map(method).collect::<Result<Vec<_>, _>>()?;
        if methods.is_empty() {
            return Err(RuleError::Methods);
        }
        Ok(Self::Only(methods))
    }

    pub(super) fn fit(&self, method: &Method) -> bool {
        let is = |one: &Method| one.as_str().eq_ignore_ascii_case(method.as_str());
        match self {
            Self::All => true,
            Self::Only(methods) => methods.iter().any(is),
        }
    }
}
