//! Where the arguments of an operation stand, and how they are read from there.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{Extensions, HeaderMap};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::body;
use super::consistency;
use super::encoded::{self, Query, garbled};
use super::operation::Operation;
use crate::api::arguments::{self, BadArguments, Fault, Object};
use crate::api::schema;
use crate::app::Mode;
use crate::http::error::HttpError;

/// The arguments of an operation by where they stand. Each part is a schema of its own.
#[derive(Debug)]
pub(super) struct Form {
    name: &'static str,
    template: &'static str,
    absent: &'static [&'static str],
    pub(super) path: Object,
    pub(super) query: Object,
    /// `None` where no body is looked at.
    pub(super) body: Option<Object>,
}

/// What was sent, before it is looked at.
#[derive(Debug)]
pub(super) struct Sent {
    path: String,
    query: Query,
    pub(super) headers: HeaderMap,
    body: Body,
    /// Holds the body's part of the room until the arguments are read.
    _held: Extensions,
}

impl From<Request> for Sent {
    fn from(request: Request) -> Self {
        let (parts, body) = request.into_parts();
        Self {
            path: parts.uri.path().to_owned(),
            query: encoded::query(parts.uri.query().unwrap_or_default()),
            headers: parts.headers,
            body,
            _held: parts.extensions,
        }
    }
}

impl Sent {
    /// A text of the query.
    pub(super) fn asked(&self, name: &str) -> Option<&str> {
        self.query.found.get(name)?.as_str()
    }
}

impl Form {
    /// The form of an operation on a server in this mode.
    pub(super) fn new(operation: Operation, mode: Mode) -> Self {
        let route = operation.route();
        let absent = operation.absent_arguments(mode);
        let mut all = (route.arguments)();
        for name in absent {
            schema::remove(&mut all, name);
        }
        let is_in_path = |name: &str| names(route.path).any(|(_, found)| found == name);
        let elsewhere = part(&all, |name| !is_in_path(name));
        let (mut query, body) = if route.has_body {
            (part(&all, |_| false), Some(elsewhere))
        } else {
            (elsewhere, None)
        };
        if operation.reads() {
            schema::add(&mut query, consistency::CONSISTENCY, consistency::schema());
        }
        Self {
            name: route.name,
            template: route.path,
            absent,
            path: part(&all, is_in_path),
            query,
            body,
        }
    }

    /// Reads the arguments, wherever they stand, with every fault of theirs.
    pub(super) async fn read<T: DeserializeOwned>(&self, sent: Sent) -> Result<T, HttpError> {
        let body = match &self.body {
            Some(_) => body::read(&sent.headers, sent.body).await?,
            None => Object::new(),
        };
        Ok(self.decode(&sent.path, sent.query, body)?)
    }

    fn decode<T: DeserializeOwned>(
        &self,
        path: &str,
        query: Query,
        mut body: Object,
    ) -> Result<T, BadArguments> {
        let (mut found, mut faults) = self.in_path(path);
        if faults.is_empty() {
            faults.extend(arguments::check(&self.path, &[], &found));
        }
        let Query {
            found: mut asked,
            faults: garbled,
        } = query;
        faults.extend(garbled);
        for (name, value) in &mut asked {
            typed(
                self.query.get("properties").and_then(|all| all.get(name)),
                value,
            );
        }
        faults.extend(arguments::check(&self.query, &[], &asked));
        if let Some(schema) = &self.body {
            arguments::normalise(&mut body);
            faults.extend(arguments::check(schema, self.absent, &body));
        }
        consistency::remove(&mut asked);
        found.extend(asked);
        found.extend(body);
        arguments::decode(self.name, found, faults)
    }

    fn in_path(&self, path: &str) -> (Object, Vec<Fault>) {
        let mut found = Object::new();
        let mut faults = Vec::new();
        for (index, name) in names(self.template) {
            let segment = path.split('/').nth(index).unwrap_or_default();
            match encoded::decode(segment, false) {
                Some(text) => drop(found.insert(name.to_owned(), text.into())),
                None => faults.push(garbled(name)),
            }
        }
        (found, faults)
    }
}

/// The arguments in a path, each with the segment that it is.
fn names(template: &str) -> impl Iterator<Item = (usize, &str)> {
    let segments = template.split('/').enumerate();
    segments.filter_map(|(index, segment)| {
        let name = segment.strip_prefix('{')?.strip_suffix('}')?;
        Some((index, name))
    })
}

/// The part of a schema that these properties make.
fn part(schema: &Object, is_wanted: impl Fn(&str) -> bool) -> Object {
    let mut part = schema.clone();
    if let Some(Value::Object(properties)) = part.get_mut("properties") {
        properties.retain(|name, _| is_wanted(name));
    }
    if let Some(Value::Array(required)) = part.get_mut("required") {
        required.retain(|name| name.as_str().is_some_and(&is_wanted));
    }
    part
}

/// Makes a text from a URL the number that it stands for, where a number is asked for.
fn typed(property: Option<&Value>, value: &mut Value) {
    let kind = property.and_then(|property| property.get("type"));
    if kind.and_then(Value::as_str) != Some("integer") {
        return;
    }
    let Some(text) = value.as_str() else { return };
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return;
    }
    let number = text
        .parse::<u64>()
        .map(Value::from)
        .or_else(|_| text.parse::<i64>().map(Value::from));
    if let Ok(number) = number {
        *value = number;
    }
}
