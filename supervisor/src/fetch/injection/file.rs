//! The file with rules: a JSON array of objects.
//!
//! ```json
//! [{"host": "api.example.com", "methods": ["GET"], "headers": {"x-api-key": "${API_KEY}"}},
//!  {"host": "*.example.org", "oauth": {"token_url": "https://auth.example.org/token",
//!    "client_id": "mcp", "client_secret": "${file:/run/secrets/client}", "scope": "read"}}]
//! ```
//!
//! It is read by hand: what a deserialiser says of a value that does not fit shows that value.

use serde_json::{Map, Value};
use url::Url;

use super::host::HostPattern;
use super::rule::{Gives, HeaderRule, Methods, RuleError, TokenOptions, header_of};
use super::value::Template;
use super::ways::Ways;
use crate::policy::is_server;
use crate::tenant::Tenant;

const RULE_KEYS: [&str; 7] = [
    "host", "methods", "scheme", "port", "tenant", "headers", "oauth",
];
const RULE_KEYS_SHOWN: &str = "host, methods, scheme, port, tenant, headers, oauth";
const TOKEN_KEYS: [&str; 4] = ["token_url", "client_id", "client_secret", "scope"];
const TOKEN_KEYS_SHOWN: &str = "token_url, client_id, client_secret, scope";

/// Reads one entry: a rule for its headers, and one for its token.
pub(super) fn rules(entry: &Value) -> Result<Vec<HeaderRule>, RuleError> {
    let entry = object(entry, "the rule")?;
    known(entry, &RULE_KEYS, RULE_KEYS_SHOWN)?;
    let host = text(entry, "host")?.ok_or(RuleError::Missing("host"))?;
    let host = HostPattern::parse(host.trim())?;
    let methods = methods(entry)?;
    let ways = ways(entry)?;
    let tenant: Option<Tenant> = text(entry, "tenant")?.map(str::parse).transpose()?;
    let rule = |gives| HeaderRule {
        tenant: tenant.clone(),
        host: host.clone(),
        methods: methods.clone(),
        ways: ways.clone(),
        gives,
    };
    let mut rules = Vec::new();
    if let Some(named) = entry.get("headers") {
        rules.push(rule(Gives::Headers(headers(named)?)));
    }
    if let Some(client) = entry.get("oauth") {
        rules.push(rule(Gives::Token(token(client)?)));
    }
    if rules.is_empty() {
        return Err(RuleError::Nothing);
    }
    Ok(rules)
}

fn methods(entry: &Map<String, Value>) -> Result<Methods, RuleError> {
    match texts(entry, "methods")? {
        None => Ok(Methods::All),
        Some(names) => Methods::parse(names.into_iter()),
    }
}

fn ways(entry: &Map<String, Value>) -> Result<Ways, RuleError> {
    let mut ways = Ways::default();
    if let Some(names) = texts(entry, "scheme")? {
        ways = ways.with_schemes(names.into_iter())?;
    }
    if let Some(ports) = entry.get("port") {
        let ports = ports.as_array().ok_or(RuleError::Shape {
            field: "port",
            expected: "an array of numbers",
        })?;
        let ports = ports.iter().map(Value::as_u64);
        ways = ways.with_ports(ports.map(|port| u16::try_from(port?).ok()))?;
    }
    Ok(ways)
}

fn texts<'a>(
    object: &'a Map<String, Value>,
    field: &'static str,
) -> Result<Option<Vec<&'a str>>, RuleError> {
    let Some(value) = object.get(field) else {
        return Ok(None);
    };
    let texts = value.as_array().and_then(|all| {
        let texts = all.iter().map(Value::as_str);
        texts.collect::<Option<Vec<&str>>>()
    });
    texts.map(Some).ok_or(RuleError::Shape {
        field,
        expected: "an array of texts",
    })
}

fn headers(named: &Value) -> Result<Vec<(http::HeaderName, Template)>, RuleError> {
    let named = object(named, "headers")?;
    if named.is_empty() {
        return Err(RuleError::Nothing);
    }
    let headers = named.iter().map(|(name, value)| {
        let value = value.as_str().ok_or(RuleError::Shape {
            field: "a value in headers",
            expected: "a text",
        })?;
        header_of(name, value)
    });
    headers.collect()
}

fn token(client: &Value) -> Result<TokenOptions, RuleError> {
    let client = object(client, "oauth")?;
    known(client, &TOKEN_KEYS, TOKEN_KEYS_SHOWN)?;
    let template = |field| {
        let written = text(client, field)?.ok_or(RuleError::Missing(field))?;
        Template::parse(written).map_err(|problem| RuleError::Client { field, problem })
    };
    let url = text(client, "token_url")?.ok_or(RuleError::Missing("token_url"))?;
    let url = Url::parse(url).ok().filter(is_server);
    Ok(TokenOptions {
        url: url.ok_or(RuleError::TokenUrl)?,
        client_id: template("client_id")?,
        client_secret: template("client_secret")?,
        scope: text(client, "scope")?.map(str::to_owned),
    })
}

fn object<'a>(value: &'a Value, field: &'static str) -> Result<&'a Map<String, Value>, RuleError> {
    value.as_object().ok_or(RuleError::Shape {
        field,
        expected: "an object",
    })
}

fn text<'a>(
    object: &'a Map<String, Value>,
    field: &'static str,
) -> Result<Option<&'a str>, RuleError> {
    let wrong = RuleError::Shape {
        field,
        expected: "a text",
    };
    object
        .get(field)
        .map_or(Ok(None), |value| value.as_str().map(Some).ok_or(wrong))
}

fn known(object: &Map<String, Value>, keys: &[&str], shown: &'static str) -> Result<(), RuleError> {
    let mut unknown = object.keys().filter(|key| !keys.contains(&key.as_str()));
    match unknown.next() {
        Some(key) => Err(RuleError::UnknownKey(key.clone(), shown)),
        None => Ok(()),
    }
}
