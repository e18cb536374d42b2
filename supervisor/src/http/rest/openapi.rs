//! The description of the API in the form of OpenAPI 3.1, made of the table of operations.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use axum::http::header::RETRY_AFTER;
use serde_json::{Map, Value, json};

use super::answer::{Answer, Shape};
use super::form::Form;
use super::operation::{Operation, Route};
use super::pattern;
use super::stream::LAST_EVENT_ID;
use crate::api::arguments::Object;
use crate::api::{Failed, OFFSET_MAX, OutputPiece, schema};
use crate::app::Mode;
use crate::http::error::has_retry;
use crate::http::error_code::ErrorCode;

const ABOUT: &str = "Runs JavaScript and TypeScript in V8, each execution in a jailed process of its \
                     own: the use cases of the MCP tools over plain HTTP, in the same shapes. Unknown \
                     arguments are errors, and absent values are null. Every error is an object with a \
                     code for programs and a message that says what to do.";

/// The description of the API.
pub fn document() -> &'static Value {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(make);
    &DOCUMENT
}

fn make() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for operation in Operation::ALL {
        let route = operation.route();
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        let method = route.method.as_str().to_ascii_lowercase();
        path[method] = described(operation, &route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "mcp-v8",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": { "name": "MIT", "identifier": "MIT" },
        },
        // Servers that know everybody by a token, and those that do not.
        "security": [{}, { "bearer": [] }],
        "paths": paths,
        "components": {
            "schemas": shapes(),
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token of the server's operator, or a JWT of the authorization \
                                    server that it trusts. Everybody sees only what belongs to the \
                                    tenant of their token.",
                },
            },
        },
    })
}

fn described(operation: Operation, route: &Route) -> Value {
    // Servers without state have nothing that those with state do not.
    let form = Form::new(operation, Mode::Stateful);
    let mut described = json!({
        "operationId": route.name,
        "summary": route.summary,
    });
    if !route.notes.is_empty() {
        described["description"] = route.notes.into();
    }
    let parameters = parameters(operation, route, &form);
    if !parameters.is_empty() {
        described["parameters"] = parameters.into();
    }
    if let Some(body) = form.body {
        described["requestBody"] = json!({
            "required": true,
            "content": { "application/json": { "schema": body_schema(route, body) } },
        });
    }
    described["responses"] = responses(route);
    described
}

fn parameters(operation: Operation, route: &Route, form: &Form) -> Vec<Value> {
    let mut parameters = Vec::new();
    for (place, part) in [("path", &form.path), ("query", &form.query)] {
        for (name, property) in properties(part) {
            parameters.push(parameter(route, place, name, property.clone()));
        }
    }
    if operation == Operation::StreamExecutionOutput {
        parameters.push(json!({
            "name": LAST_EVENT_ID.as_str(),
            "in": "header",
            "required": false,
            "description": "The id of the last event that was seen: the stream goes on behind it, \
                            whatever byte_offset says.",
            "schema": { "type": "integer", "minimum": 0, "maximum": OFFSET_MAX },
        }));
    }
    parameters
}

fn parameter(route: &Route, place: &str, name: &str, mut schema: Value) -> Value {
    let description = take(&mut schema, "description");
    refine(route, name, &mut schema);
    json!({
        "name": name,
        "in": place,
        "required": place == "path",
        "description": description,
        "schema": schema,
    })
}

/// The schema of a body. Null counts as absent there.
fn body_schema(route: &Route, mut body: Object) -> Object {
    let required = body.get("required").cloned().unwrap_or_default();
    let is_required = |name: &str| {
        let mut names = required.as_array().into_iter().flatten();
        names.any(|required| required == name)
    };
    if let Some(Value::Object(properties)) = body.get_mut("properties") {
        for (name, property) in properties {
            refine(route, name, property);
            if !is_required(name) {
                property["type"] = json!([property["type"], "null"]);
            }
        }
    }
    body
}

/// Says what a text may be, and what is different from a tool's.
fn refine(route: &Route, name: &str, schema: &mut Value) {
    if let Some(pattern) = pattern::of(route.name, name) {
        schema["pattern"] = pattern.into();
    }
    if name == "tags" {
        schema["propertyNames"] = json!({ "pattern": pattern::of_tag_key() });
    }
    match (route.name, name) {
        ("query_heaps_by_tags", "tags") => schema["minProperties"] = 1.into(),
        ("run_js", "wait_ms") => schema["description"] = WAIT.into(),
        _ => {}
    }
}

const WAIT: &str = "How long to wait for the end, in milliseconds. 0 answers 202 with {execution_id} at \
                    once. Otherwise the answer is the execution with its first output: 200 when it has \
                    ended, 202 when the wait runs out before (status queued or running).";

fn responses(route: &Route) -> Value {
    let mut responses = Map::new();
    for answer in route.answers {
        responses.insert(answer.status.as_str().to_owned(), succeeded(answer));
    }
    let mut codes: BTreeMap<u16, BTreeSet<ErrorCode>> = BTreeMap::new();
    for code in ErrorCode::OF_ANY.iter().chain(route.errors) {
        codes
            .entry(code.status().as_u16())
            .or_default()
            .insert(*code);
    }
    for (status, codes) in codes {
        responses.insert(status.to_string(), failed(&codes));
    }
    Value::Object(responses)
}

fn succeeded(answer: &Answer) -> Value {
    let content = match answer.shape {
        Shape::Json { name, .. } => json!({ "application/json": { "schema": reference(name) } }),
        // What the events hold is said in words: a schema would be of the text, or of an event, as its
        // reader likes.
        Shape::Events => json!({ "text/event-stream": {} }),
        Shape::Document => json!({ "application/json": { "schema": { "type": "object" } } }),
    };
    json!({ "description": answer.meaning, "content": content })
}

fn failed(codes: &BTreeSet<ErrorCode>) -> Value {
    let named: Vec<String> = codes
        .iter()
        .map(|code| format!("`{}`: {}", code.name(), code.meaning()))
        .collect();
    let names: BTreeSet<&str> = codes.iter().map(|code| code.name()).collect();
    let code = json!({ "properties": { "code": { "enum": names } } });
    let schema = json!({
        "allOf": [reference("Error"), { "properties": { "error": code } }],
    });
    let mut response = json!({
        "description": format!("{}.", named.join("; ")),
        "content": { "application/json": { "schema": schema } },
    });
    let status = codes.first().map(|code| code.status());
    if status.is_some_and(has_retry) {
        let retry = json!({
            "description": "When to try again, in seconds.",
            "schema": { "type": "integer", "minimum": 0 },
        });
        response["headers"] = json!({ RETRY_AFTER.as_str(): retry });
    }
    response
}

/// The schemas of all answers by name.
fn shapes() -> Map<String, Value> {
    let mut shapes = BTreeMap::new();
    for operation in Operation::ALL {
        for answer in operation.route().answers {
            match answer.shape {
                Shape::Json { name, schema } => drop(shapes.insert(name, schema())),
                Shape::Events | Shape::Document => {}
            }
        }
    }
    shapes.insert("Error", schema::of_result::<Failed>());
    shapes.insert("OutputPiece", schema::of_result::<OutputPiece>());
    let shapes = shapes.into_iter();
    shapes
        .map(|(name, schema)| (name.to_owned(), Value::Object(schema)))
        .collect()
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn properties(part: &Object) -> impl Iterator<Item = (&str, &Value)> {
    let properties = part.get("properties").and_then(Value::as_object);
    let properties = properties.into_iter().flatten();
    properties.map(|(name, property)| (name.as_str(), property))
}

fn take(schema: &mut Value, word: &str) -> Value {
    let schema = schema.as_object_mut();
    schema
        .and_then(|schema| schema.shift_remove(word))
        .unwrap_or_default()
}
