//! What a request gives, as the arguments of an operation.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts as _, Query, RawPathParams, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::RestError;
use super::operation::{Operation, Place};
use crate::api::STATE_ARGUMENTS;
use crate::api::arguments::{Object, read};
use crate::app::Mode;

/// What a request gives.
#[derive(Debug)]
pub(super) struct Given {
    path: Vec<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

impl<S: Send + Sync> FromRequest<S> for Given {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let path = RawPathParams::from_request_parts(&mut parts, state)
            .await
            .map_err(|_| RestError::Path.plain())?;
        let path = path
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let (uri, headers) = (parts.uri.clone(), parts.headers.clone());
        let request = Request::from_parts(parts, body);
        let body = Bytes::from_request(request, state)
            .await
            .map_err(|_| RestError::Body.plain())?;
        Ok(Self {
            path,
            uri,
            headers,
            body,
        })
    }
}

impl Given {
    /// The arguments of an operation, checked against its schema.
    pub(super) fn read<T: DeserializeOwned>(
        &self,
        operation: Operation,
        mode: Mode,
    ) -> Result<T, RestError> {
        let schema = operation.arguments();
        let mut arguments = match operation.place() {
            Place::Query => self.query(&schema)?,
            Place::Body => {
                self.no_query()?;
                self.json()?
            }
        };
        for (name, value) in &self.path {
            if arguments
                .insert(name.clone(), value.as_str().into())
                .is_some()
            {
                return Err(RestError::Twice { name: name.clone() });
            }
        }
        let absent: &[&'static str] = match (operation, mode) {
            (Operation::Run, Mode::Stateless) => &STATE_ARGUMENTS,
            _ => &[],
        };
        Ok(read(operation.name(), &schema, absent, Some(arguments))?)
    }

    /// The header with which a client of a stream comes back.
    pub(super) fn last_event_id(&self) -> Result<Option<u64>, RestError> {
        let mut given = self.headers.get_all("last-event-id").iter();
        let (Some(id), None) = (given.next(), given.next()) else {
            return Ok(None);
        };
        let text = id.to_str().map_err(|_| RestError::EventId)?;
        if text.is_empty() {
            return Ok(None);
        }
        text.parse().map(Some).map_err(|_| RestError::EventId)
    }

    fn pairs(&self) -> Result<Vec<(String, String)>, RestError> {
        let pairs = Query::try_from_uri(&self.uri).map_err(|_| RestError::Query)?;
        Ok(pairs.0)
    }

    fn no_query(&self) -> Result<(), RestError> {
        match self.pairs()?.into_iter().next() {
            None => Ok(()),
            Some((name, _)) => Err(RestError::NotInQuery { name }),
        }
    }

    fn query(&self, schema: &Object) -> Result<Object, RestError> {
        let mut arguments = Object::new();
        for (name, text) in self.pairs()? {
            let value = value(schema, &name, text);
            if arguments.insert(name.clone(), value).is_some() {
                return Err(RestError::Twice { name });
            }
        }
        Ok(arguments)
    }

    fn json(&self) -> Result<Object, RestError> {
        let kind = self.headers.get(CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case(super::operation::JSON) {
            return Err(RestError::MediaType);
        }
        match serde_json::from_slice(&self.body) {
            Ok(Value::Object(object)) => Ok(object),
            Ok(_) => Err(RestError::NoObject),
            Err(error) => Err(RestError::NoJson(error)),
        }
    }
}

/// The value that a text in the query stands for. A text that is no number stays one: the schema
/// says what is wrong with it.
fn value(schema: &Object, name: &str, text: String) -> Value {
    let properties = schema.get("properties");
    let property = properties.and_then(|properties| properties.get(name));
    let kind = property.and_then(|property| property.get("type"));
    match kind.and_then(Value::as_str) {
        Some("integer") => text.parse::<i64>().map_or(Value::String(text), Value::from),
        _ => Value::String(text),
    }
}
