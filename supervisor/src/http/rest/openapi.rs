//! The description of the API (OpenAPI 3.1), made from the table of operations and the schemas that
//! arguments are checked against.

use std::sync::LazyLock;

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::operation::{Answer, JSON, Operation, Place};
use super::perform::json_response;
use crate::api::arguments::Object;

/// The errors that every request can come to.
const COMMON_ERRORS: [u16; 6] = [400, 403, 408, 413, 500, 503];

/// The description as text, which does not change while the server runs.
static TEXT: LazyLock<String> = LazyLock::new(|| format!("{:#}\n", document()));

/// Shows it.
pub(super) async fn show() -> Response {
    json_response(StatusCode::OK, TEXT.clone())
}

/// The description.
pub fn document() -> Value {
    let mut paths = Map::new();
    for operation in Operation::ALL {
        let methods = paths
            .entry(operation.path())
            .or_insert_with(|| Value::Object(Map::new()));
        if let Some(methods) = methods.as_object_mut() {
            methods.insert(operation.verb().to_owned(), describe(operation));
        }
    }
    paths.insert(super::OPENAPI_PATH.to_owned(), json!({"get": itself()}));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "mcp-v8",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Runs JavaScript and TypeScript in V8, one jailed process per execution. \
                            The same operations are tools of MCP.",
        },
        "paths": paths,
        "components": {"schemas": {"Error": error_schema()}},
    })
}

fn itself() -> Value {
    let mut responses = Map::new();
    responses.insert(
        "200".to_owned(),
        json!({"description": "This", "content": {JSON: {"schema": {"type": "object"}}}}),
    );
    add_errors(&mut responses, &[]);
    json!({
        "operationId": "openapi",
        "summary": "This description.",
        "responses": responses,
    })
}

fn describe(operation: Operation) -> Value {
    let schema = operation.arguments();
    let in_path: Vec<&str> = names_in(operation.path());
    let mut described = Map::new();
    described.insert("operationId".to_owned(), operation.name().into());
    described.insert("summary".to_owned(), operation.summary().into());
    let mut parameters = parameters(&schema, &in_path, operation.place());
    if operation == Operation::StreamOutput {
        parameters.push(json!({
            "name": "Last-Event-ID", "in": "header", "required": false,
            "description": "The id of the last event that was seen: goes on behind it.",
            "schema": {"type": "integer", "minimum": 0},
        }));
    }
    if !parameters.is_empty() {
        described.insert("parameters".to_owned(), parameters.into());
    }
    if operation.place() == Place::Body {
        let body = without(&schema, &in_path);
        described.insert(
            "requestBody".to_owned(),
            json!({"required": true, "content": {JSON: {"schema": body}}}),
        );
    }
    let mut responses = Map::new();
    for answer in operation.answers() {
        let Answer {
            status,
            means,
            content_type,
            schema,
        } = answer;
        let schema = schema.map_or_else(|| json!({"type": "string"}), Value::Object);
        responses.insert(
            status.to_string(),
            json!({"description": means, "content": {content_type: {"schema": schema}}}),
        );
    }
    add_errors(&mut responses, operation.errors());
    described.insert("responses".to_owned(), responses.into());
    described.into()
}

/// The names in braces in a path.
fn names_in(path: &str) -> Vec<&str> {
    let parts = path.split('/');
    parts
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .collect()
}

/// Those that are in the path, and those in the query.
fn parameters(schema: &Object, in_path: &[&str], place: Place) -> Vec<Value> {
    let properties = schema.get("properties").and_then(Value::as_object);
    let properties = properties.into_iter().flatten();
    properties
        .filter(|(name, _)| place == Place::Query || in_path.contains(&name.as_str()))
        .map(|(name, property)| {
            let is_in_path = in_path.contains(&name.as_str());
            let mut property = property.clone();
            let description = property
                .as_object_mut()
                .and_then(|property| property.remove("description"));
            json!({
                "name": name,
                "in": if is_in_path { "path" } else { "query" },
                "required": is_in_path || is_required(schema, name),
                "description": description,
                "schema": property,
            })
        })
        .collect()
}

fn is_required(schema: &Object, name: &str) -> bool {
    let required = schema.get("required").and_then(Value::as_array);
    required.is_some_and(|required| required.iter().any(|known| known == name))
}

/// The schema of a body: without what is in the path.
fn without(schema: &Object, in_path: &[&str]) -> Object {
    let mut schema = schema.clone();
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.retain(|name, _| !in_path.contains(&name.as_str()));
    }
    if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
        required.retain(|name| name.as_str().is_none_or(|name| !in_path.contains(&name)));
    }
    schema
}

fn add_errors(responses: &mut Map<String, Value>, own: &[u16]) {
    let mut statuses = [&COMMON_ERRORS, own].concat();
    statuses.sort_unstable();
    for status in statuses {
        let status_code = StatusCode::from_u16(status).unwrap_or_default();
        let mut response = json!({
            "description": status_code.canonical_reason().unwrap_or_default(),
            "content": {JSON: {"schema": {"$ref": "#/components/schemas/Error"}}},
        });
        if let (429 | 503, Some(response)) = (status, response.as_object_mut()) {
            response.insert(
                "headers".to_owned(),
                json!({"Retry-After": {
                    "description": "Seconds until it is worth another try.",
                    "schema": {"type": "integer", "minimum": 1},
                }}),
            );
        }
        responses.insert(status.to_string(), response);
    }
}

fn error_schema() -> Value {
    json!({
        "type": "object",
        "required": ["error"],
        "properties": {"error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {
                "code": {"type": "string", "description": "The kind of error, for programs."},
                "message": {
                    "type": "string",
                    "description": "What was wrong, where, and what to do.",
                },
            },
        }},
    })
}
