//! What `mcp-v8 policy check` asks and says: one request, and what each policy says to it.

use std::collections::BTreeMap;
use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Map, Value};
use url::Url;

use super::{Asked, Permit, Verdict, judge};
use crate::tenant::Tenant;

/// The largest request that is read, in bytes.
pub const INPUT_BYTES_MAX: usize = 1 << 20;

const KEYS: [&str; 7] = [
    "operation",
    "url",
    "method",
    "headers",
    "url_parsed",
    "tenant",
    "session",
];

/// What is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    /// It is no JSON object.
    #[error("it is not a JSON object{0}")]
    NoObject(String),
    /// A key means nothing.
    #[error("unknown key \"{0}\"; valid keys: {keys}", keys = KEYS.join(", "))]
    UnknownKey(String),
    /// A field is not what belongs there.
    #[error("{field} is not {expected}")]
    Wrong {
        /// Which one.
        field: &'static str,
        /// What would be right.
        expected: &'static str,
    },
}

/// Reads a request: the input of a policy, or what it is made from.
///
/// # Errors
/// [`InputError`], which says where it is wrong.
pub fn read(text: &[u8]) -> Result<Asked, InputError> {
    let input = match serde_json::from_slice(text) {
        Ok(Value::Object(input)) => input,
        Ok(_) => return Err(InputError::NoObject(String::new())),
        Err(error) => return Err(InputError::NoObject(format!(": {error}"))),
    };
    if let Some(key) = input.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(InputError::UnknownKey(key.clone()));
    }
    let wrong = |field, expected| InputError::Wrong { field, expected };
    if text_of(&input, "operation")?.is_some_and(|operation| operation != "fetch") {
        return Err(wrong("operation", "\"fetch\""));
    }
    let url = text_of(&input, "url")?.and_then(|url| Url::parse(url).ok());
    let method = text_of(&input, "method")?.unwrap_or("GET");
    let tenant = text_of(&input, "tenant")?.unwrap_or("local");
    let asked = Asked {
        tenant: tenant
            .parse::<Tenant>()
            .map_err(|_| wrong("tenant", "the name of a tenant"))?,
        session: text_of(&input, "session")?.map(str::to_owned),
        method: Method::from_bytes(method.as_bytes()).map_err(|_| wrong("method", "a method"))?,
        url: url.ok_or_else(|| wrong("url", "a whole URL, as https://example.com/"))?,
        headers: headers(&input).ok_or_else(|| wrong("headers", "an object of texts"))?,
    };
    let parsed = input.get("url_parsed");
    if parsed.is_some_and(|parsed| Some(parsed) != super::input::document(&asked).get("url_parsed"))
    {
        let expected = "that of url; it can be left out";
        return Err(wrong("url_parsed", expected));
    }
    Ok(asked)
}

fn text_of<'a>(
    input: &'a Map<String, Value>,
    field: &'static str,
) -> Result<Option<&'a str>, InputError> {
    match input.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_str().map(Some).ok_or(InputError::Wrong {
            field,
            expected: "a text",
        }),
    }
}

fn headers(input: &Map<String, Value>) -> Option<HeaderMap> {
    let Some(named) = input.get("headers") else {
        return Some(HeaderMap::new());
    };
    let headers = named.as_object()?.iter().map(|(name, value)| {
        let name: HeaderName = name.parse().ok()?;
        Some((name, HeaderValue::from_str(value.as_str()?).ok()?))
    });
    headers.collect()
}

/// What the policies say, as an operator reads it.
#[derive(Debug)]
pub struct Told<'a> {
    /// The request.
    pub asked: &'a Asked,
    /// What each policy says.
    pub verdicts: &'a [Verdict],
    /// Whether requests may go to private addresses whatever the policies say.
    pub allow_private: bool,
}

impl Told<'_> {
    /// What becomes of it, with the words of a denial.
    fn decision(&self) -> Result<Permit, String> {
        let mut permit = Permit {
            private_addresses: true,
        };
        for verdict in self.verdicts {
            let leave = judge(self.asked, &verdict.rule, &verdict.answer);
            let leave = leave.map_err(|denied| denied.to_string())?;
            permit.private_addresses &= leave.private_addresses;
        }
        Ok(permit)
    }

    /// Whether the request may be made.
    pub fn is_allowed(&self) -> bool {
        self.decision().is_ok()
    }
}

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let asked = self.asked;
        writeln!(f, "{} {}", asked.method, asked.url)?;
        let session = asked.session.as_deref();
        let session = session.map_or("no session".to_owned(), |name| format!("session {name}"));
        let names: BTreeMap<&str, ()> = asked
            .headers
            .keys()
            .map(|name| (name.as_str(), ()))
            .collect();
        let names: Vec<&str> = names.into_keys().collect();
        let headers = match names.as_slice() {
            [] => "no headers".to_owned(),
            names => format!("headers {}", names.join(", ")),
        };
        writeln!(f, "  tenant {}, {session}, {headers}", asked.tenant)?;
        for Verdict {
            policy,
            rule,
            answer,
        } in self.verdicts
        {
            match answer {
                Ok(answer) if answer.allow => writeln!(f, "  {policy}: {rule} is true")?,
                Ok(_) => writeln!(f, "  {policy}: {rule} is not true")?,
                Err(silence) => writeln!(f, "  {policy}: {rule} has no answer: {silence}")?,
            }
        }
        match self.decision() {
            Err(denied) => writeln!(f, "denied: {denied}"),
            Ok(_) if self.allow_private => writeln!(
                f,
                "allowed, also to private addresses (--fetch-allow-private)"
            ),
            Ok(Permit {
                private_addresses: true,
            }) => writeln!(
                f,
                "allowed, also to private addresses (allow_private is true)"
            ),
            Ok(_) => writeln!(f, "allowed, but not to private addresses"),
        }
    }
}
