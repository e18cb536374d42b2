//! A client of the REST API without a network. Every answer that it gets is held against the
//! description of the API: its route, its status, and the code of its error.

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Request, Response, StatusCode};
use axum::{Extension, Router};
use http_body_util::BodyExt as _;
use mcp_v8::app::ExecutionsConfig;
use mcp_v8::auth::Caller;
use mcp_v8::http::rest;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::support::{Executions, Home, start};

/// A server and its API.
pub(crate) struct Api {
    pub(crate) executions: Executions,
    pub(crate) router: Router,
    pub(crate) home: Home,
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Api {
    pub(crate) async fn new() -> Self {
        Self::with(|config| config).await
    }

    pub(crate) async fn stateless() -> Self {
        Self::with(|config| ExecutionsConfig {
            state: mcp_v8::app::State::Stateless,
            ..config
        })
        .await
    }

    pub(crate) async fn with(change: impl FnOnce(ExecutionsConfig) -> ExecutionsConfig) -> Self {
        let home = Home::new();
        let executions = start(change(home.config())).await;
        Self::over(home, executions)
    }

    pub(crate) fn over(home: Home, executions: Executions) -> Self {
        Self {
            router: rest::router(executions.whole.clone()).layer(Extension(Caller::local())),
            executions,
            home,
        }
    }

    /// What is answered, before its body is read.
    pub(crate) async fn send(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    pub(crate) async fn ask(&self, request: Request<Body>) -> Got {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let (parts, body) = self.send(request).await.into_parts();
        let got = Got {
            status: parts.status,
            headers: parts.headers,
            body: body.collect().await.unwrap().to_bytes(),
        };
        if method != Method::HEAD {
            documented(&method, &path, &got);
        }
        got
    }

    pub(crate) async fn get(&self, path: &str) -> Got {
        self.ask(request(Method::GET, path, Body::empty())).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Got {
        self.ask(request(Method::POST, path, Body::from(body.to_string())))
            .await
    }

    /// Runs this to its end, and gives what the client sees.
    pub(crate) async fn run(&self, code: &str) -> Value {
        let got = self
            .post("/api/exec", &json!({"code": code, "wait_ms": 40_000}))
            .await;
        assert_eq!(got.status, StatusCode::OK, "{got:?}");
        got.json()
    }

    /// Accepts this, and gives its id.
    pub(crate) async fn submit(&self, code: &str) -> String {
        let got = self.post("/api/exec", &json!({"code": code})).await;
        assert_eq!(got.status, StatusCode::ACCEPTED, "{got:?}");
        got.json()["execution_id"].as_str().unwrap().to_owned()
    }
}

impl Got {
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), "application/json");
        assert_eq!(self.header("cache-control"), "no-store");
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{self:?}");
        self.json()
    }

    /// The text of an error of this kind.
    pub(crate) fn error(&self, status: u16, code: &str) -> String {
        let error = self.json();
        assert_eq!(self.status, status, "{error}");
        assert_eq!(error["error"]["code"], code, "{error}");
        let message = error["error"]["message"].as_str().unwrap();
        assert_eq!(error, json!({"error": {"code": code, "message": message}}));
        message.to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }
}

/// A request whose body, if any, is JSON.
pub(crate) fn request(method: Method, path: &str, body: Body) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", "application/json")
        .body(body)
        .unwrap()
}

/// Asserts that the description of the API knows such an answer.
fn documented(method: &Method, path: &str, got: &Got) {
    let paths = rest::document()["paths"].as_object().unwrap();
    // A path without arguments goes before one with some.
    let mut found: Vec<_> = paths
        .iter()
        .filter(|(template, _)| fits(template, path))
        .collect();
    found.sort_by_key(|(template, _)| template.contains('{'));
    let operation = found
        .first()
        .and_then(|(_, operations)| operations.get(method.as_str().to_ascii_lowercase()));
    let Some(operation) = operation else {
        assert!([404, 405].contains(&got.status.as_u16()), "{got:?}");
        return;
    };
    let response = &operation["responses"][got.status.as_str()];
    assert!(response.is_object(), "{method} {path} may not give {got:?}");
    let content = got.header("content-type");
    let schema = &response["content"][content]["schema"];
    assert!(schema.is_object(), "{method} {path} may not give {content}");
    if got.status.is_success() {
        if let Some(name) = schema["$ref"].as_str() {
            has_shape(
                &rest::document()["components"]["schemas"][name_of(name)],
                &got.json(),
            );
        }
        return;
    }
    let codes = &schema["allOf"][1]["properties"]["error"]["properties"]["code"]["enum"];
    let code = &got.json()["error"]["code"];
    assert!(
        codes.as_array().unwrap().contains(code),
        "{method} {path}: {code} is not in {codes}"
    );
    let retries = [429, 503].contains(&got.status.as_u16());
    assert_eq!(response["headers"]["retry-after"].is_object(), retries);
    assert_eq!(got.headers.contains_key("retry-after"), retries, "{got:?}");
}

fn name_of(reference: &str) -> &str {
    reference.rsplit('/').next().unwrap()
}

/// Whether an object has all that is required, and nothing that is not described.
fn has_shape(schema: &Value, value: &Value) {
    let properties = schema["properties"].as_object().unwrap();
    let value = value.as_object().unwrap();
    for name in value.keys() {
        assert!(properties.contains_key(name), "{name} is not described");
    }
    for name in schema["required"].as_array().unwrap() {
        assert!(
            value.contains_key(name.as_str().unwrap()),
            "{name} is missing"
        );
    }
}

fn fits(template: &str, path: &str) -> bool {
    let (template, found) = (template.split('/'), path.split('/'));
    template.clone().count() == found.clone().count()
        && !path.ends_with('/')
        && template
            .zip(found)
            .all(|(wanted, found)| wanted == found || wanted.starts_with('{'))
}
